-- Of what a sum is, and over how long, are names from a short list: as such they take four bytes each, where a
-- text at the front of every key made each comparison of keys find its columns one after the other.
create type sum_scope as enum ('organization', 'group', 'application', 'user', 'members', 'use_case', 'feature');
create type sum_grain as enum ('day', 'month');

create table sums_of_people (like usage_sums including defaults including comments);
alter table sums_of_people
    alter column scope type sum_scope using scope::sum_scope,
    alter column grain type sum_grain using grain::sum_grain,
    set (fillfactor = 80);
create table sums_of_things (like sums_of_people including defaults including comments including storage);
alter table sums_of_things set (fillfactor = 80);
insert into sums_of_people
select org_id, scope::sum_scope, within_id, grain::sum_grain, first_day, thing_id, path_id, model_id, calls, failed, refused, spend,
       input, cache_read, cache_write, output, reasoning, duration_ms, cached, saved, took
from usage_sums_of_people;
insert into sums_of_things
select org_id, scope::sum_scope, within_id, grain::sum_grain, first_day, thing_id, path_id, model_id, calls, failed, refused, spend,
       input, cache_read, cache_write, output, reasoning, duration_ms, cached, saved, took
from usage_sums_of_things;
drop table usage_sums;
alter table sums_of_people rename to usage_sums_of_people;
alter table sums_of_things rename to usage_sums_of_things;

alter table usage_sums_of_people
    add primary key (org_id, scope, thing_id, grain, first_day, path_id, within_id, model_id);
alter table usage_sums_of_things
    add primary key (org_id, scope, thing_id, grain, first_day, path_id, within_id, model_id);
create table usage_sums (
    like usage_sums_of_people including defaults including comments,
    primary key (org_id, scope, thing_id, grain, first_day, path_id, within_id, model_id)
) partition by list (scope);
alter table usage_sums attach partition usage_sums_of_people for values in ('user');
alter table usage_sums attach partition usage_sums_of_things default;

create index usage_sums_by_person on usage_sums_of_people (org_id, grain, first_day, path_id, thing_id);
create index usage_sums_of_thing on usage_sums_of_things (org_id, scope, thing_id, grain, first_day)
    where model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
create index usage_sums_of_models on usage_sums_of_things (org_id, scope, thing_id, grain, first_day)
    where model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff';
create index usage_sums_within on usage_sums_of_things (org_id, scope, within_id, grain, first_day, path_id, thing_id)
    where model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
create index usage_sums_within_models on usage_sums_of_things (org_id, scope, within_id, grain, first_day, thing_id)
    where model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff';
