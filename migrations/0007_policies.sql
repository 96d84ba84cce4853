-- Named routes over models: an ordered chain, or weights.

create table policies (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    policy_id   uuid not null,
    -- Callers write policy/ and this.
    name        text not null,
    routing     text not null check (routing in ('fallback', 'balance')),
    archived_at timestamptz,
    created_at  timestamptz not null,
    version     bigint not null default 1,
    primary key (org_id, policy_id)
);
create unique index policies_name_key on policies (org_id, name) where archived_at is null;

create table policy_steps (
    org_id    uuid not null references organizations (org_id) on delete cascade,
    policy_id uuid not null,
    position  integer not null check (position >= 0),
    model_id  uuid not null,
    -- 1 in a fallback.
    weight    integer not null check (weight between 1 and 1000),
    primary key (org_id, policy_id, position),
    foreign key (org_id, policy_id) references policies (org_id, policy_id),
    foreign key (org_id, model_id) references models (org_id, model_id)
);
