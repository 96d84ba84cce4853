-- What the coarser sums by day should be, going by those by day and person: one answer to how they are made anew,
-- and to whether they are right.

create view sums_that_should_be as
select d.org_id, k.scope::sum_scope as scope, k.within_id, d.day as first_day, k.thing_id, k.path_id, k.model_id,
       sum(d.calls) as calls, sum(d.failed) as failed, sum(d.refused) as refused, sum(d.spend) as spend, sum(d.input) as input,
       sum(d.cache_read) as cache_read, sum(d.cache_write) as cache_write, sum(d.output) as output, sum(d.reasoning) as reasoning,
       sum(d.duration_ms) as duration_ms, sum(d.cached) as cached, sum(d.saved) as saved, sum(d.took) as took
from usage_by_day d
left join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
left join member_sets m on m.org_id = d.org_id and m.set_id = d.set_id
cross join lateral (values (uuid '00000000-0000-0000-0000-000000000000', uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff')) as c (none, every)
cross join lateral (
    select 'organization', c.none, c.none, c.none, g.model_id from (values (c.every), (d.model_id)) as g (model_id)
    union all
    select 'group', coalesce(p.groups[a.place - 1], c.none), a.id, c.none, g.model_id
    from unnest(p.groups) with ordinality as a (id, place) cross join (values (c.every), (d.model_id)) as g (model_id)
    union all
    select 'application', c.none, d.application_id, d.path_id, c.every
    union all
    select 'user', c.none, d.user_id, d.path_id, c.every
    union all
    select 'members', c.none, a.id, c.none, c.every from unnest(m.groups) as a (id)
    union all
    select 'use_case', a.id, md5(d.use_case)::uuid, c.none, c.every
    from unnest(array_prepend(c.none, p.groups)) as a (id) where d.use_case <> ''
    union all
    select 'feature', a.id, lpad(to_hex(d.features), 32, '0')::uuid, c.none, c.every
    from unnest(array_prepend(c.none, p.groups)) as a (id) where d.features <> 0
) as k (scope, within_id, thing_id, path_id, model_id)
group by 1, 2, 3, 4, 5, 6, 7;
