-- The ledger: one row per finished call, append-only, and the sums that pages read.

-- The path of a group at the time of a call. A path is named by a hash of itself, so that every
-- replica gives the same path the same name.
create table group_paths (
    org_id  uuid not null references organizations (org_id) on delete cascade,
    path_id uuid not null,
    -- From the root to the group itself.
    groups  uuid[] not null,
    primary key (org_id, path_id)
);
create index group_paths_by_group on group_paths using gin (groups);

-- The groups a person belonged to at the time of a call, with everything above them; named the
-- same way.
create table member_sets (
    org_id  uuid not null references organizations (org_id) on delete cascade,
    set_id  uuid not null,
    groups  uuid[] not null,
    primary key (org_id, set_id)
);
create index member_sets_by_group on member_sets using gin (groups);

create table events (
    org_id           uuid not null,
    -- The UTC day of started_at: names the partition.
    day              date not null,
    call_id          uuid not null,
    -- Let through; decides which windows the call counts in.
    started_at       timestamptz not null,
    finished_at      timestamptz not null,
    first_byte_ms    integer,
    duration_ms      integer not null,
    application_id   uuid not null,
    key_id           uuid not null,
    secret_id        uuid not null,
    group_id         uuid not null,
    path_id          uuid not null,
    user_id          uuid,
    -- Nil where no person is known.
    set_id           uuid not null,
    model_id         uuid not null,
    provider_id      uuid not null,
    authorization_id uuid,
    grant_id         uuid,
    policy_id        uuid,
    -- Labels the call carried; empty when it carried none.
    use_case         text not null default '',
    session          text not null default '',
    route            text not null,
    streamed         boolean not null,
    outcome          text not null check (outcome in ('ok', 'upstream_error', 'hung_up', 'lost')),
    status           smallint not null,
    input            bigint not null,
    cache_read       bigint not null,
    cache_write      bigint not null,
    cache_write_long bigint not null,
    output           bigint not null,
    reasoning        bigint not null,
    audio_input      bigint not null,
    audio_output     bigint not null,
    images           bigint not null,
    cost             bigint not null check (cost >= 0),
    -- Which prices: their starts_at.
    priced_at        timestamptz,
    -- The upstream did not say; these are our figures.
    estimated        boolean not null,
    -- It cost more than was held for it.
    overage          boolean not null,
    primary key (org_id, day, call_id)
) partition by range (day);
-- Days without a partition of their own. The server makes partitions ahead; this keeps a call
-- that meets none from being lost.
create table events_default partition of events default;
create index events_by_application on events (org_id, application_id, started_at desc, call_id);
create index events_by_time on events (org_id, started_at desc, call_id);

-- Calls that were refused, so that the person concerned can be told why.
create table refusals (
    org_id         uuid not null,
    day            date not null,
    call_id        uuid not null,
    at             timestamptz not null,
    application_id uuid not null,
    secret_id      uuid not null,
    group_id       uuid not null,
    user_id        uuid,
    -- What the caller wrote.
    model          text not null,
    model_id       uuid,
    status         smallint not null,
    code           text not null,
    -- The answer's error.bursar object.
    detail         jsonb not null,
    -- The call passed: a limit in observe mode would have refused it.
    observed       boolean not null default false,
    primary key (org_id, day, call_id)
) partition by range (day);
create table refusals_default partition of refusals default;
create index refusals_by_application on refusals (org_id, application_id, at desc, call_id);

-- Sums by the organization's own calendar day.
create table usage_by_day (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    day            date not null,
    path_id        uuid not null,
    application_id uuid not null,
    -- Nil: calls without a person.
    user_id        uuid not null,
    set_id         uuid not null,
    -- Nil: refused before a model was known.
    model_id       uuid not null,
    use_case       text not null,
    calls          bigint not null default 0,
    failed         bigint not null default 0,
    refused        bigint not null default 0,
    spend          bigint not null default 0,
    input          bigint not null default 0,
    cache_read     bigint not null default 0,
    cache_write    bigint not null default 0,
    output         bigint not null default 0,
    reasoning      bigint not null default 0,
    duration_ms    bigint not null default 0,
    primary key (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case)
);
create index usage_by_day_of_user on usage_by_day (org_id, user_id, day);
create index usage_by_day_of_application on usage_by_day (org_id, application_id, day);
create index usage_by_day_of_path on usage_by_day (org_id, path_id, day);
create index usage_by_day_of_set on usage_by_day (org_id, set_id, day);
