-- Coarser sums, for questions about many: what a group or the whole organization spent in a day or a
-- month, without reading a row for every person. Written with usage_by_day, in its transaction.

create table usage_sums (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    -- Of what: the organization; a group with everything below it; an application; a person.
    scope       text not null check (scope in ('organization', 'group', 'application', 'user')),
    -- The group it was directly below at that time; nil at the top, and for anything but a group.
    within_id   uuid not null,
    -- People by month only: by day they are in usage_by_day.
    grain       text not null check (grain in ('day', 'month')),
    first_day   date not null,
    -- Nil: the organization itself, or calls without a person.
    thing_id    uuid not null,
    -- Of an application: its group's path at that time. Nil otherwise.
    path_id     uuid not null,
    -- One model, by day, of the organization and of groups; all bits set: every model together.
    model_id    uuid not null,
    calls       bigint not null,
    failed      bigint not null,
    refused     bigint not null,
    spend       bigint not null,
    input       bigint not null,
    cache_read  bigint not null,
    cache_write bigint not null,
    output      bigint not null,
    reasoning   bigint not null,
    duration_ms bigint not null,
    primary key (org_id, scope, within_id, grain, first_day, thing_id, path_id, model_id)
);
create index usage_sums_of_thing on usage_sums (org_id, scope, thing_id, grain, first_day);

insert into usage_sums
select d.org_id, k.scope, k.within_id, k.grain, k.first_day, k.thing_id, k.path_id, k.model_id, sum(d.calls), sum(d.failed),
       sum(d.refused), sum(d.spend), sum(d.input), sum(d.cache_read), sum(d.cache_write), sum(d.output), sum(d.reasoning),
       sum(d.duration_ms)
from usage_by_day d
left join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
cross join lateral (values (uuid '00000000-0000-0000-0000-000000000000', uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff',
                            date_trunc('month', d.day)::date)) as c (none, every, month)
cross join lateral (
    select 'organization', c.none, g.grain, g.first_day, c.none, c.none, g.model_id
    from (values ('day', d.day, c.every), ('month', c.month, c.every), ('day', d.day, d.model_id)) as g (grain, first_day, model_id)
    union all
    select 'group', coalesce(p.groups[a.place - 1], c.none), g.grain, g.first_day, a.id, c.none, g.model_id
    from unnest(p.groups) with ordinality as a (id, place)
    cross join (values ('day', d.day, c.every), ('month', c.month, c.every), ('day', d.day, d.model_id)) as g (grain, first_day, model_id)
    union all
    select 'application', c.none, g.grain, g.first_day, d.application_id, d.path_id, c.every
    from (values ('day', d.day), ('month', c.month)) as g (grain, first_day)
    union all
    select 'user', c.none, g.grain, g.first_day, d.user_id, c.none, c.every
    from (values ('day', d.day), ('month', c.month)) as g (grain, first_day)
    where g.grain = 'month' or d.user_id = c.none
) as k (scope, within_id, grain, first_day, thing_id, path_id, model_id)
group by 1, 2, 3, 4, 5, 6, 7, 8;
