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
    -- Calls in flight, at their worst case: always the sum of the live holds on it.
    held        bigint not null default 0 check (held >= 0),
    primary key (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
);
create index windows_by_end on windows (org_id, ends_at);

-- One row per call in flight: what it may use at most. Ends with the call; what outlives its
-- replica is booked as spent.
create table holds (
    org_id     uuid not null references organizations (org_id) on delete cascade,
    call_id    uuid not null,
    replica_id uuid not null,
    started_at timestamptz not null,
    -- Pushed forward by the replica while the call lives.
    expires_at timestamptz not null,
    -- The meters it holds, as a list of {scope_kind, thing_id, person_id, metric, window_kind, starts_at, amount}.
    claims     jsonb not null,
    -- Who calls what, so that it can be booked without its replica.
    call       jsonb not null,
    primary key (org_id, call_id)
);
create index holds_by_expiry on holds (expires_at);
