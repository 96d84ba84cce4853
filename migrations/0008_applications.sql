-- Applications, each with exactly one key; a key with several secrets.

create table applications (
    org_id           uuid not null references organizations (org_id) on delete cascade,
    application_id   uuid not null,
    group_id         uuid not null,
    name             text not null,
    description      text not null default '',
    -- Set for a person's private context: one per person and group.
    personal_user_id uuid,
    archived_at      timestamptz,
    created_at       timestamptz not null,
    version          bigint not null default 1,
    primary key (org_id, application_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    foreign key (org_id, personal_user_id) references users (org_id, user_id)
);
create unique index applications_name_key on applications (org_id, group_id, lower(name))
    where archived_at is null and personal_user_id is null;
create unique index applications_personal_key on applications (org_id, group_id, personal_user_id)
    where archived_at is null and personal_user_id is not null;

-- Labels a call may carry.
create table use_cases (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    application_id uuid not null,
    name           text not null,
    primary key (org_id, application_id, name),
    foreign key (org_id, application_id) references applications (org_id, application_id)
);

create table keys (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    key_id         uuid not null,
    application_id uuid not null,
    -- Whether it narrows at all; when it does, an empty key_models means none.
    all_models     boolean not null,
    features       text[] not null default '{}'
        check (features <@ array['streaming', 'tools', 'structured_outputs', 'vision', 'reasoning', 'embeddings']),
    policy_id      uuid,
    version        bigint not null default 1,
    primary key (org_id, key_id),
    constraint keys_one_per_application unique (org_id, application_id),
    foreign key (org_id, application_id) references applications (org_id, application_id),
    foreign key (org_id, policy_id) references policies (org_id, policy_id)
);

create table key_models (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    key_id   uuid not null,
    model_id uuid not null,
    primary key (org_id, key_id, model_id),
    foreign key (org_id, key_id) references keys (org_id, key_id),
    foreign key (org_id, model_id) references models (org_id, model_id)
);

-- Groups whose members may have a secret of their own.
create table key_groups (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    key_id   uuid not null,
    group_id uuid not null,
    primary key (org_id, key_id, group_id),
    foreign key (org_id, key_id) references keys (org_id, key_id),
    foreign key (org_id, group_id) references groups (org_id, group_id)
);

create table secrets (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    secret_id    uuid not null,
    key_id       uuid not null,
    kind         text not null check (kind in ('service', 'member')),
    user_id      uuid,
    -- Keyed hash of the text a client sends. The text itself is nowhere.
    hash         bytea not null,
    -- The last four characters, so that people can tell secrets apart.
    tail         text not null check (length(tail) = 4),
    created_at   timestamptz not null,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    primary key (org_id, secret_id),
    constraint secrets_hash_key unique (org_id, hash),
    foreign key (org_id, key_id) references keys (org_id, key_id),
    foreign key (org_id, user_id) references users (org_id, user_id),
    constraint secrets_member_names_a_person check ((kind = 'member') = (user_id is not null))
);
create index secrets_by_key on secrets (org_id, key_id);
create unique index secrets_one_per_member on secrets (org_id, key_id, user_id)
    where kind = 'member' and revoked_at is null;
