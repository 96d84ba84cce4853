-- Limits, what is used of them, and what calls in flight hold.

create table limits (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    limit_id    uuid not null,
    scope_kind  text not null check (scope_kind in ('organization', 'group', 'application', 'user', 'member', 'authorization', 'grant')),
    -- The thing the scope names, and for a member the person; nil where there is nothing to name.
    thing_id    uuid not null,
    person_id   uuid not null default '00000000-0000-0000-0000-000000000000',
    metric      text not null check (metric in ('spend', 'requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrent_calls')),
    window_kind text not null check (window_kind in ('minute', 'hour', 'day', 'week', 'month', 'year', 'total')),
    cap         bigint not null check (cap >= 0),
    mode        text not null check (mode in ('enforce', 'observe')),
    -- Per cent of the cap.
    thresholds  smallint[] not null default '{}',
    created_at  timestamptz not null,
    version     bigint not null default 1,
    primary key (org_id, limit_id),
    constraint limits_once unique (org_id, scope_kind, thing_id, person_id, metric, window_kind),
    constraint limits_concurrency_has_no_window check (metric <> 'concurrent_calls' or window_kind = 'total')
);

-- How much of a meter (scope, metric, window) is used in one bucket of time. Keyed by what is
-- counted, not by the limit, so that editing a limit forgets nothing. Buckets are never reset:
-- the next bucket is another row.
create table windows (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    scope_kind  text not null,
    thing_id    uuid not null,
    person_id   uuid not null,
    metric      text not null,
    window_kind text not null,
    starts_at   timestamptz not null,
    ends_at     timestamptz,
    -- Finished calls.
    settled     bigint not null default 0 check (settled >= 0),
    -- Set aside for replicas, which let calls through from it without asking: always the sum of
    -- the leases on it.
    leased      bigint not null default 0 check (leased >= 0),
    -- The part of that which calls in flight hold at their worst case, as the replicas last said.
    held        bigint not null default 0 check (held >= 0),
    primary key (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
);
create index windows_by_end on windows (org_id, ends_at);

-- The processes that let calls through, and when each was last heard of.
create table replicas (
    replica_id uuid primary key,
    heard_at   timestamptz not null
);

-- What a replica may let through of a window without asking: settled calls and calls in flight of
-- its own come out of it. What a replica that died had leased counts as used until it comes back
-- and says what became of it.
create table leases (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    scope_kind  text not null,
    thing_id    uuid not null,
    person_id   uuid not null,
    metric      text not null,
    window_kind text not null,
    starts_at   timestamptz not null,
    replica_id  uuid not null,
    granted     bigint not null check (granted >= 0),
    reserved    bigint not null check (reserved >= 0),
    primary key (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, replica_id)
);
create index leases_by_replica on leases (replica_id, org_id);
