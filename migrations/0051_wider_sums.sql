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

-- Who spent most is found among tens of thousands without reading their rows.
create index usage_sums_of_people on usage_sums (org_id, grain, first_day, thing_id) include (path_id, spend, calls, refused)
    where scope = 'user';

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
select org_id, 'user', '00000000-0000-0000-0000-000000000000', 'day', day, user_id, path_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff',
       sum(calls), sum(failed), sum(refused), sum(spend), sum(input), sum(cache_read), sum(cache_write),
       sum(output), sum(reasoning), sum(duration_ms), sum(cached), sum(saved)
from feature_usage_by_day group by org_id, day, user_id, path_id;

-- Summed up before it is spread over groups: there are fewer days, paths and sets than rows.
insert into usage_sums
select s.org_id, 'members', '00000000-0000-0000-0000-000000000000', 'day', s.day, a.id, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
       sum(s.calls), sum(s.failed), sum(s.refused), sum(s.spend), sum(s.input), sum(s.cache_read), sum(s.cache_write),
       sum(s.output), sum(s.reasoning), sum(s.duration_ms), sum(s.cached), sum(s.saved)
from (select org_id, day, set_id, sum(calls) as calls, sum(failed) as failed, sum(refused) as refused, sum(spend) as spend, sum(input) as input,
             sum(cache_read) as cache_read, sum(cache_write) as cache_write, sum(output) as output, sum(reasoning) as reasoning,
             sum(duration_ms) as duration_ms, sum(cached) as cached, sum(saved) as saved
      from feature_usage_by_day group by org_id, day, set_id) s
join member_sets m on m.org_id = s.org_id and m.set_id = s.set_id cross join unnest(m.groups) as a (id)
group by s.org_id, s.day, a.id;

insert into usage_sums
select org_id, scope, within_id, 'month', date_trunc('month', first_day)::date, thing_id, path_id, model_id,
       sum(calls), sum(failed), sum(refused), sum(spend), sum(input), sum(cache_read), sum(cache_write),
       sum(output), sum(reasoning), sum(duration_ms), sum(cached), sum(saved)
from usage_sums where scope in ('user', 'members') and grain = 'day'
group by org_id, scope, within_id, date_trunc('month', first_day), thing_id, path_id, model_id;

insert into usage_sums
select s.org_id, s.scope, a.id, 'day', s.day, s.thing_id, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
       sum(s.calls), sum(s.failed), sum(s.refused), sum(s.spend), sum(s.input), sum(s.cache_read), sum(s.cache_write),
       sum(s.output), sum(s.reasoning), sum(s.duration_ms), sum(s.cached), sum(s.saved)
from (select org_id, day, path_id, 'use_case' as scope, md5(use_case)::uuid as thing_id, sum(calls) as calls, sum(failed) as failed, sum(refused) as refused, sum(spend) as spend, sum(input) as input,
             sum(cache_read) as cache_read, sum(cache_write) as cache_write, sum(output) as output, sum(reasoning) as reasoning,
             sum(duration_ms) as duration_ms, sum(cached) as cached, sum(saved) as saved
      from feature_usage_by_day where use_case <> '' group by org_id, day, path_id, use_case
      union all
      select org_id, day, path_id, 'feature', lpad(to_hex(features), 32, '0')::uuid, sum(calls) as calls, sum(failed) as failed, sum(refused) as refused, sum(spend) as spend, sum(input) as input,
             sum(cache_read) as cache_read, sum(cache_write) as cache_write, sum(output) as output, sum(reasoning) as reasoning,
             sum(duration_ms) as duration_ms, sum(cached) as cached, sum(saved) as saved
      from feature_usage_by_day where features <> 0 group by org_id, day, path_id, features) s
left join group_paths p on p.org_id = s.org_id and p.path_id = s.path_id
cross join unnest(array_prepend(uuid '00000000-0000-0000-0000-000000000000', p.groups)) as a (id)
group by s.org_id, s.scope, a.id, s.day, s.thing_id;

-- How many finished calls took how long, by day: percentiles of any days together follow from them. Keys
-- as in usage_sums; people are not told apart, nor models within groups.
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

create temporary table took on commit drop as
select e.org_id, (e.started_at at time zone o.time_zone)::date as day, e.path_id, e.application_id, e.model_id, e.use_case, e.features,
       width_bucket(e.duration_ms, array[10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 630, 900, 1250, 1800, 2500, 3500, 5000,
                                         7000, 10000, 14000, 20000, 28000, 40000, 56000, 80000, 110000, 160000, 220000, 320000]) as class,
       count(*) as calls
from events e join organizations o on o.org_id = e.org_id
group by 1, 2, 3, 4, 5, 6, 7, 8;

insert into duration_sums
select org_id, 'organization', '00000000-0000-0000-0000-000000000000', day, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', coalesce(model_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), class, sum(calls)
from took group by grouping sets ((org_id, day, class), (org_id, day, model_id, class));

insert into duration_sums
select org_id, 'application', '00000000-0000-0000-0000-000000000000', day, application_id, path_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', class, sum(calls)
from took group by org_id, day, application_id, path_id, class;

insert into duration_sums
select s.org_id, 'group', coalesce(p.groups[a.place - 1], '00000000-0000-0000-0000-000000000000'), s.day, a.id, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', s.class, sum(s.calls)
from (select org_id, day, path_id, class, sum(calls) as calls from took group by org_id, day, path_id, class) s
join group_paths p on p.org_id = s.org_id and p.path_id = s.path_id
cross join unnest(p.groups) with ordinality as a (id, place)
group by s.org_id, coalesce(p.groups[a.place - 1], '00000000-0000-0000-0000-000000000000'), s.day, a.id, s.class;

insert into duration_sums
select s.org_id, s.scope, a.id, s.day, s.thing_id, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', s.class, sum(s.calls)
from (select org_id, day, path_id, class, 'use_case' as scope, md5(use_case)::uuid as thing_id, sum(calls) as calls
      from took where use_case <> '' group by org_id, day, path_id, class, use_case
      union all
      select org_id, day, path_id, class, 'feature', lpad(to_hex(features), 32, '0')::uuid, sum(calls)
      from took where features <> 0 group by org_id, day, path_id, class, features) s
left join group_paths p on p.org_id = s.org_id and p.path_id = s.path_id
cross join unnest(array_prepend(uuid '00000000-0000-0000-0000-000000000000', p.groups)) as a (id)
group by s.org_id, s.scope, a.id, s.day, s.thing_id, s.class;

drop table took;

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
