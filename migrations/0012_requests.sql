-- Requests for models that are "by request": who asked for what, and what became of it.

create table requests (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    request_id   uuid not null,
    model_id     uuid not null,
    -- Who asks, and on which group's account: its leads, those above it and admins decide.
    requester_id uuid not null,
    group_id     uuid not null,
    -- For everybody in the group, or within the group for the one who asks.
    for_group    boolean not null,
    reason       text not null,
    -- What was asked for: money, in nano-dollars, and the last day.
    amount       bigint not null check (amount > 0),
    per          text not null check (per in ('month', 'total')),
    ends_on      date not null,
    created_at   timestamptz not null,
    -- Whether a grant has ended is said by the grant.
    state        text not null check (state in ('waiting', 'approved', 'refused', 'withdrawn')),
    decided_at   timestamptz,
    decided_by   uuid,
    -- What whoever decided said.
    answer       text not null default '',
    -- What came of it, and the money that was agreed to.
    grant_id     uuid,
    granted      bigint check (granted > 0),
    primary key (org_id, request_id),
    foreign key (org_id, model_id) references models (org_id, model_id),
    foreign key (org_id, requester_id) references users (org_id, user_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    foreign key (org_id, decided_by) references users (org_id, user_id),
    foreign key (org_id, grant_id) references grants (org_id, grant_id),
    constraint requests_decided check ((state = 'waiting') = (decided_at is null)),
    constraint requests_granted check ((state = 'approved') = (grant_id is not null) and (grant_id is null) = (granted is null)),
    -- What a store function could forget: nobody agrees to what they asked for themselves.
    constraint requests_not_by_oneself check (state not in ('approved', 'refused') or decided_by is distinct from requester_id)
);
-- Asking twice for the same thing is one request.
create unique index requests_waiting_once on requests (org_id, requester_id, model_id, group_id, for_group)
    where state = 'waiting';
create index requests_waiting on requests (org_id, group_id) where state = 'waiting';
create index requests_by_requester on requests (org_id, requester_id, request_id desc);
create index requests_by_group on requests (org_id, group_id, request_id desc);

-- A grant may be to a person within one group: whoever decides for a group opens nothing elsewhere.
alter table grants drop constraint grants_one_grantee;
alter table grants add constraint grants_somebody check (user_id is not null or group_id is not null);
