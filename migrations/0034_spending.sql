-- Spend beyond sums by day: sessions of calls, what calls said, recommendations, and whose turn it is to look.

create table call_sessions (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    application_id uuid not null,
    session        text not null,
    -- Nil: calls without a person. A label that several people use is a session for each.
    user_id        uuid not null,
    -- The group's path at the last call.
    path_id        uuid not null,
    first_at       timestamptz not null,
    -- When the last call that is booked was let through.
    last_at        timestamptz not null,
    -- When the last call that is booked had ended.
    ended_at       timestamptz not null,
    calls          bigint not null,
    failed         bigint not null,
    spend          bigint not null,
    tokens         bigint not null,
    models         uuid[] not null,
    primary key (org_id, application_id, user_id, session)
);
create index call_sessions_by_time on call_sessions (org_id, last_at desc, application_id, user_id, session);
create index call_sessions_by_user on call_sessions (org_id, user_id, last_at desc);
create index events_by_session on events (org_id, application_id, session, started_at) where session <> '';

insert into call_sessions
select e.org_id, e.application_id, e.session, coalesce(e.user_id, '00000000-0000-0000-0000-000000000000'),
       (array_agg(e.path_id order by e.started_at desc))[1], min(e.started_at), max(e.started_at), max(e.finished_at), count(*),
       count(*) filter (where e.outcome = 'upstream_error'), sum(e.cost),
       sum(e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input + e.output + e.reasoning + e.audio_output),
       array_agg(distinct e.model_id)
from events e
where e.session <> '' and exists (select from organizations o where o.org_id = e.org_id)
group by 1, 2, 3, 4;

create table dismissals (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    -- What is recommended, about what: `model.cheaper grp_… mdl_…`.
    topic        text not null,
    -- The figures it went by: with others it comes back.
    figures      text not null,
    reason       text not null,
    dismissed_at timestamptz not null,
    dismissed_by uuid,
    by_name      text not null,
    primary key (org_id, topic)
);

-- What is recommended now, found anew a few times an hour.
create table recommendations (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    topic    text not null,
    kind     text not null check (kind in ('cheaper', 'limit', 'secret', 'join', 'leave')),
    title    text not null,
    body     text not null,
    figures  text not null,
    -- Nano-dollars a month, where it would save any.
    saves    bigint not null,
    action   text not null,
    href     text not null,
    -- From the root to the group it is about: who leads one of them sees it. Empty: the organization's.
    path     uuid[] not null,
    found_at timestamptz not null,
    primary key (org_id, topic)
);

-- What a call costs at the middle group of an organization, found with the recommendations.
create table medians (
    org_id              uuid not null references organizations (org_id) on delete cascade,
    -- Groups whose own applications have called.
    groups              bigint not null,
    -- Nano-dollars; null: nobody has used any.
    per_call            bigint,
    per_thousand_output bigint,
    -- Input tokens read from a cache, in tenths of a per cent.
    cache_share         bigint,
    found_at            timestamptz not null,
    primary key (org_id)
);

-- Work that one process of an installation does at a time, and when somebody last took it on.
create table turns (
    work     text primary key,
    taken_at timestamptz not null
);

-- Keys that keep what their calls said. No row: nothing is kept.
create table prompt_keeping (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    application_id uuid not null,
    -- For how long each is kept.
    days           smallint not null check (days between 1 and 365),
    primary key (org_id, application_id),
    foreign key (org_id, application_id) references applications (org_id, application_id)
);

-- What was kept: request and answer, sealed with the master key and bound to their call.
create table prompts (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    call_id        uuid not null,
    application_id uuid not null,
    at             timestamptz not null,
    expires_at     timestamptz not null,
    sealed         bytea not null,
    primary key (org_id, call_id)
);
create index prompts_by_end on prompts (expires_at);

-- Two people who edit a webhook learn of each other.
alter table webhooks add column version bigint not null default 1;
