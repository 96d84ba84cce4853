-- What rules and limits that only observe would have refused, by day: their page does not read calls.

create table observed_sums (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    -- The rule or the limit.
    observer_id uuid not null,
    -- A UTC day, as refusals have it.
    day         date not null,
    calls       bigint not null,
    -- What those calls cost.
    spend       bigint not null,
    -- Null: only what calls cost has been booked so far.
    first_at    timestamptz,
    last_at     timestamptz,
    primary key (org_id, observer_id, day)
);

-- Of whom: the last time.
create table observed_people (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    observer_id uuid not null,
    user_id     uuid not null,
    last_at     timestamptz not null,
    primary key (org_id, observer_id, user_id)
);

insert into observed_sums
select r.org_id, r.observer_id, r.day, count(*), coalesce(sum(e.cost), 0), min(r.at), max(r.at)
from refusals r join organizations o on o.org_id = r.org_id
left join events e on e.org_id = r.org_id and e.day = r.day and e.call_id = r.call_id
where r.observed
group by 1, 2, 3;

insert into observed_people
select r.org_id, r.observer_id, r.user_id, max(r.at)
from refusals r join organizations o on o.org_id = r.org_id
where r.observed and r.user_id is not null
group by 1, 2, 3;
