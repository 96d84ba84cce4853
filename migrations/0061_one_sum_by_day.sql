-- Sums by day are kept once: a call stood in two tables that differed by what it used of its key. And how
-- long calls took stands beside what they cost, in every sum there is.

drop table usage_by_day;
alter table feature_usage_by_day rename to usage_by_day;
alter index feature_usage_by_day_pkey rename to usage_by_day_pkey;
alter index feature_usage_by_day_of_user rename to usage_by_day_of_user;
alter index feature_usage_by_day_of_application rename to usage_by_day_of_application;
alter table usage_by_day rename constraint feature_usage_by_day_org_id_fkey to usage_by_day_org_id_fkey;
create index usage_by_day_of_path on usage_by_day (org_id, path_id, day);
create index usage_by_day_of_set on usage_by_day (org_id, set_id, day);

-- Counts of 32 classes of duration, twelve digits each, the shortest last: such numbers add up as their
-- counts do, and are as short as the classes that have any are near each other.
alter table usage_by_day add column took numeric not null default 0;
alter table usage_sums add column took numeric not null default 0;

update usage_by_day d set took = e.took
from (
    select e.org_id, (e.started_at at time zone o.time_zone)::date as day, e.path_id, e.application_id,
           coalesce(e.user_id, '00000000-0000-0000-0000-000000000000') as user_id, e.set_id, e.model_id, e.use_case, e.features,
           sum(('1e' || 12 * width_bucket(e.duration_ms, array[10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 630, 900, 1250, 1800,
                2500, 3500, 5000, 7000, 10000, 14000, 20000, 28000, 40000, 56000, 80000, 110000, 160000, 220000, 320000]))::numeric) as took
    from events e join organizations o on o.org_id = e.org_id
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9
) e
where d.org_id = e.org_id and d.day = e.day and d.path_id = e.path_id and d.application_id = e.application_id and d.user_id = e.user_id
  and d.set_id = e.set_id and d.model_id = e.model_id and d.use_case = e.use_case and d.features = e.features;

-- What was kept already goes back further than the ledger may.
update usage_sums s set took = t.took
from (
    select org_id, scope, within_id, first_day, thing_id, path_id, model_id, sum(calls * ('1e' || 12 * class)::numeric) as took
    from duration_sums group by 1, 2, 3, 4, 5, 6, 7
) t
where s.org_id = t.org_id and s.scope = t.scope and s.within_id = t.within_id and s.grain = 'day' and s.first_day = t.first_day
  and s.thing_id = t.thing_id and s.path_id = t.path_id and s.model_id = t.model_id;
drop table duration_sums;

update usage_sums s set took = t.took
from (select org_id, day, user_id, path_id, sum(took) as took from usage_by_day group by 1, 2, 3, 4) t
where s.org_id = t.org_id and s.scope = 'user' and s.grain = 'day' and s.first_day = t.day and s.thing_id = t.user_id
  and s.path_id = t.path_id;

update usage_sums s set took = t.took
from (
    select d.org_id, d.day, a.id, sum(d.took) as took
    from (select org_id, day, set_id, sum(took) as took from usage_by_day group by 1, 2, 3) d
    join member_sets m on m.org_id = d.org_id and m.set_id = d.set_id cross join unnest(m.groups) as a (id)
    group by 1, 2, 3
) t
where s.org_id = t.org_id and s.scope = 'members' and s.grain = 'day' and s.first_day = t.day and s.thing_id = t.id;

update usage_sums s set took = t.took
from (
    select d.org_id, d.day, d.model_id, a.id, sum(d.took) as took
    from (select org_id, day, path_id, model_id, sum(took) as took from usage_by_day group by 1, 2, 3, 4) d
    join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id cross join unnest(p.groups) as a (id)
    group by 1, 2, 3, 4
) t
where s.org_id = t.org_id and s.scope = 'group' and s.grain = 'day' and s.first_day = t.day and s.thing_id = t.id
  and s.model_id = t.model_id and s.model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff';

update usage_sums s set took = t.took
from (
    select org_id, scope, within_id, date_trunc('month', first_day)::date as month, thing_id, path_id, model_id, sum(took) as took
    from usage_sums where grain = 'day' group by 1, 2, 3, 4, 5, 6, 7
) t
where s.grain = 'month' and s.org_id = t.org_id and s.scope = t.scope and s.within_id = t.within_id and s.first_day = t.month
  and s.thing_id = t.thing_id and s.path_id = t.path_id and s.model_id = t.model_id;

-- People have a table of their own among the coarser sums: the index that finds who spent most has amounts
-- in it, and while one index of a table has amounts, whatever is added to any of its rows is written anew
-- in every index.
drop index usage_sums_of_people;
alter table usage_sums rename to usage_sums_of_things;
alter table usage_sums_of_things rename constraint usage_sums_pkey to usage_sums_of_things_pkey;
alter table usage_sums_of_things rename constraint usage_sums_org_id_fkey to usage_sums_of_things_org_id_fkey;
alter table usage_sums_of_things rename constraint usage_sums_scope_check to usage_sums_of_things_scope_check;
alter table usage_sums_of_things rename constraint usage_sums_grain_check to usage_sums_of_things_grain_check;
create table usage_sums (
    like usage_sums_of_things including defaults including comments,
    primary key (org_id, scope, within_id, grain, first_day, thing_id, path_id, model_id),
    foreign key (org_id) references organizations (org_id) on delete cascade
) partition by list (scope);
create table usage_sums_of_people partition of usage_sums for values in ('user');
insert into usage_sums_of_people select * from usage_sums_of_things where scope = 'user';
delete from usage_sums_of_things where scope = 'user';
alter table usage_sums attach partition usage_sums_of_things default;
create index usage_sums_of_person on usage_sums_of_people (org_id, scope, thing_id, grain, first_day);
create index usage_sums_by_person on usage_sums_of_people (org_id, grain, first_day, thing_id) include (path_id, spend, calls, refused);

-- Rows that are added to again and again find room beside their older selves.
alter table usage_sums_of_things set (fillfactor = 80);
alter table windows set (fillfactor = 70);
