-- Changes that are tried before they are saved, rules that only take note, and tests that no change
-- may break.

-- A draft, kept while somebody looks at what it would have meant. Nothing is decided by it.
create table rehearsals (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    rehearsal_id uuid not null,
    -- Who drafted it: nobody else sees or saves it.
    actor_id     uuid not null,
    draft        jsonb not null,
    -- The page it was drafted on, and what was typed there, for the way back.
    page         text not null,
    fields       jsonb not null,
    prepared_at  timestamptz not null,
    primary key (org_id, rehearsal_id),
    foreign key (org_id, actor_id) references users (org_id, user_id)
);
create index rehearsals_by_time on rehearsals (org_id, prepared_at);

-- A rule may stand beside the one that decides and only take note of what it would refuse.
alter table authorizations add column mode text not null default 'enforce' check (mode in ('enforce', 'observe'));
drop index authorizations_once;
create unique index authorizations_once on authorizations (org_id, group_id, model_id, tier_id, mode) nulls not distinct
    where removed_at is null;

-- What observed the call, of which there may be several: a rule or a limit; nil where a call was
-- refused, and for what was taken down before this was known.
alter table refusals add column observer_id uuid not null default '00000000-0000-0000-0000-000000000000';
alter table refusals drop constraint refusals_pkey;
alter table refusals add primary key (org_id, day, call_id, observer_id);
create index refusals_by_observer on refusals (org_id, observer_id, at) where observed;

-- Pinned tests: "interns cannot use big-chat". A change that would break one is not made.
create table access_tests (
    org_id     uuid not null references organizations (org_id) on delete cascade,
    test_id    uuid not null,
    name       text not null,
    -- Whom it is about: one of them.
    group_id   uuid,
    user_id    uuid,
    key_id     uuid,
    -- What it is about: one of them.
    model_id   uuid,
    tier_id    uuid,
    expected   text not null check (expected in ('open', 'by_request', 'closed', 'not_open')),
    created_by uuid,
    created_at timestamptz not null,
    primary key (org_id, test_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    foreign key (org_id, user_id) references users (org_id, user_id),
    foreign key (org_id, key_id) references keys (org_id, key_id),
    foreign key (org_id, model_id) references models (org_id, model_id),
    foreign key (org_id, tier_id) references tiers (org_id, tier_id),
    foreign key (org_id, created_by) references users (org_id, user_id),
    constraint access_tests_one_subject check (num_nonnulls(group_id, user_id, key_id) = 1),
    constraint access_tests_one_target check (num_nonnulls(model_id, tier_id) = 1)
);
create unique index access_tests_name_key on access_tests (org_id, lower(name));
