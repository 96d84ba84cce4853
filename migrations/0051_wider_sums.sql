-- More of what pages ask is answered from sums that do not grow with calls: people by day and within
-- groups, what members spent, use cases, features, how long calls took, and the groups of closed months.

alter table usage_sums drop constraint usage_sums_scope_check;
alter table usage_sums
    -- Of what: the organization; a group with everything below it; an application; a person; the members
    -- of a group, wherever they called; a label (a hash of it), or a set of features, within a group or
    -- (nil) the organization.
    add constraint usage_sums_scope_check
        check (scope in ('organization', 'group', 'application', 'user', 'members', 'use_case', 'feature'));
comment on column usage_sums.path_id is 'Of an application or a person: the path of the application’s group at that time. Nil otherwise.';

-- Every model together is what most questions are about: those rows are found without passing the others.
drop index usage_sums_of_thing;
create index usage_sums_of_thing on usage_sums (org_id, scope, thing_id, grain, first_day)
    where model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
create index usage_sums_of_models on usage_sums (org_id, scope, thing_id, grain, first_day)
    where model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff';
create index usage_sums_within on usage_sums (org_id, scope, within_id, grain, first_day, thing_id)
    where model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

-- What the hashes of labels stand for.
create table use_case_labels (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    label_id uuid not null,
    label    text not null,
    primary key (org_id, label_id)
);

insert into use_case_labels
select distinct org_id, md5(use_case)::uuid, use_case from usage_by_day where use_case <> '';

-- People anew: by day, too, and by the path of what they called with.
delete from usage_sums where scope = 'user';
insert into usage_sums
select d.org_id, k.scope, k.within_id, k.grain, k.first_day, k.thing_id, k.path_id, k.model_id, sum(d.calls), sum(d.failed),
       sum(d.refused), sum(d.spend), sum(d.input), sum(d.cache_read), sum(d.cache_write), sum(d.output), sum(d.reasoning),
       sum(d.duration_ms), sum(d.cached), sum(d.saved)
from feature_usage_by_day d
left join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
left join member_sets m on m.org_id = d.org_id and m.set_id = d.set_id
cross join lateral (values (uuid '00000000-0000-0000-0000-000000000000', uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff',
                            date_trunc('month', d.day)::date)) as c (none, every, month)
cross join lateral (
    select 'user', c.none, g.grain, g.first_day, d.user_id, d.path_id, c.every
    from (values ('day', d.day), ('month', c.month)) as g (grain, first_day)
    union all
    select 'members', c.none, g.grain, g.first_day, a.id, c.none, c.every
    from unnest(m.groups) as a (id) cross join (values ('day', d.day), ('month', c.month)) as g (grain, first_day)
    union all
    select 'use_case', a.id, 'day', d.day, md5(d.use_case)::uuid, c.none, c.every
    from unnest(array_prepend(c.none, p.groups)) as a (id) where d.use_case <> ''
    union all
    select 'feature', a.id, 'day', d.day, lpad(to_hex(d.features), 32, '0')::uuid, c.none, c.every
    from unnest(array_prepend(c.none, p.groups)) as a (id) where d.features <> 0
) as k (scope, within_id, grain, first_day, thing_id, path_id, model_id)
group by 1, 2, 3, 4, 5, 6, 7, 8;

-- How many finished calls took how long, by day: percentiles of any days together follow from them. Keys
-- as in usage_sums; people are not told apart.
create table duration_sums (
    org_id    uuid not null references organizations (org_id) on delete cascade,
    scope     text not null check (scope in ('organization', 'group', 'application', 'use_case', 'feature')),
    within_id uuid not null,
    first_day date not null,
    thing_id  uuid not null,
    path_id   uuid not null,
    model_id  uuid not null,
    -- Which class of duration, from the shortest.
    class     smallint not null,
    calls     bigint not null,
    primary key (org_id, scope, within_id, first_day, thing_id, path_id, model_id, class)
);
create index duration_sums_of_thing on duration_sums (org_id, scope, thing_id, first_day);

insert into duration_sums
select d.org_id, k.scope, k.within_id, k.first_day, k.thing_id, k.path_id, k.model_id, d.class, sum(d.calls)
from (select e.org_id, (e.started_at at time zone o.time_zone)::date as day, e.path_id, e.application_id, e.model_id, e.use_case, e.features,
             width_bucket(e.duration_ms, array[10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 630, 900, 1250, 1800, 2500, 3500, 5000,
                                               7000, 10000, 14000, 20000, 28000, 40000, 56000, 80000, 110000, 160000, 220000, 320000]) as class,
             count(*) as calls
      from events e join organizations o on o.org_id = e.org_id
      group by 1, 2, 3, 4, 5, 6, 7, 8) d
left join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
cross join lateral (values (uuid '00000000-0000-0000-0000-000000000000', uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff')) as c (none, every)
cross join lateral (
    select 'organization', c.none, d.day, c.none, c.none, g.model_id from (values (c.every), (d.model_id)) as g (model_id)
    union all
    select 'group', coalesce(p.groups[a.place - 1], c.none), d.day, a.id, c.none, g.model_id
    from unnest(p.groups) with ordinality as a (id, place) cross join (values (c.every), (d.model_id)) as g (model_id)
    union all
    select 'application', c.none, d.day, d.application_id, d.path_id, c.every
    union all
    select 'use_case', a.id, d.day, md5(d.use_case)::uuid, c.none, c.every
    from unnest(array_prepend(c.none, p.groups)) as a (id) where d.use_case <> ''
    union all
    select 'feature', a.id, d.day, lpad(to_hex(d.features), 32, '0')::uuid, c.none, c.every
    from unnest(array_prepend(c.none, p.groups)) as a (id) where d.features <> 0
) as k (scope, within_id, first_day, thing_id, path_id, model_id)
group by 1, 2, 3, 4, 5, 6, 7, 8;

-- What the lines of closed months come to for each group, so that their report does not read every line.
create table report_groups (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    month       date not null,
    path_id     uuid not null,
    -- Calls of an earlier month, which was closed when they were booked.
    late        boolean not null,
    calls       bigint not null,
    failed      bigint not null,
    spend       bigint not null,
    input       bigint not null,
    cache_read  bigint not null,
    cache_write bigint not null,
    output      bigint not null,
    reasoning   bigint not null,
    primary key (org_id, month, path_id, late),
    foreign key (org_id, month) references closed_months (org_id, month) deferrable initially deferred
);

insert into report_groups
select org_id, month, path_id, of_month < month, sum(calls), sum(failed), sum(spend), sum(input), sum(cache_read), sum(cache_write),
       sum(output), sum(reasoning)
from report_lines group by 1, 2, 3, 4;

-- Calls that did not go as they should, which lists look for among many that did.
create index events_unusual on events (org_id, outcome, started_at desc, call_id) where outcome <> 'ok';
create index events_guarded on events (org_id, started_at desc, call_id) where guarded <> '';
