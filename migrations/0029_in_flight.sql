-- Calls in flight as pages show them, and how one of them is ended.
--
-- Unlogged: a crash of Postgres empties these tables, and a second later every replica has told anew
-- what it has. Nothing is decided or counted by them.

-- What a replica has in flight of an organization, in all.
create unlogged table in_flight (
    org_id     uuid not null,
    replica_id uuid not null,
    calls      integer not null,
    -- What they hold at their worst case.
    cost       bigint not null,
    tokens     bigint not null,
    -- When the replica last said so.
    told_at    timestamptz not null,
    primary key (org_id, replica_id)
);

-- Those of them that last, the longest first, as many as a page can show.
create unlogged table in_flight_calls (
    org_id         uuid not null,
    replica_id     uuid not null,
    call_id        uuid not null,
    started_at     timestamptz not null,
    application_id uuid not null,
    group_id       uuid not null,
    user_id        uuid,
    model_id       uuid not null,
    route          text not null,
    streamed       boolean not null,
    phase          text not null check (phase in ('waiting', 'answering', 'streaming', 'left')),
    -- Bytes of the answer that have gone out.
    bytes          bigint not null,
    -- What it can use at most.
    cost           bigint not null,
    input_tokens   bigint not null,
    output_tokens  bigint not null,
    -- What the ledger has to know of it, should its process never come back.
    secret_id        uuid not null,
    authorization_id uuid,
    grant_id         uuid,
    -- Somebody wants it ended.
    ending         boolean not null default false,
    primary key (org_id, replica_id, call_id)
);
create index in_flight_calls_by_time on in_flight_calls (org_id, started_at, call_id);

-- A call that Bursar ended: by hand, or because what it held was used up.
alter table events drop constraint events_outcome_check;
alter table events add constraint events_outcome_check
    check (outcome in ('ok', 'upstream_error', 'hung_up', 'lost', 'ended'));

-- Since when a replica is heard without a break. Only one that was heard all the while may take
-- another for dead: after an outage of the database everybody was silent.
alter table replicas add column since timestamptz not null default '-infinity';
