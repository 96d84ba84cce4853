-- Who may use which model. Nothing here says anything about roles in the console.

create table authorizations (
    org_id           uuid not null references organizations (org_id) on delete cascade,
    authorization_id uuid not null,
    -- Null: the organization's baseline.
    group_id         uuid,
    -- One of them, or neither: every model that is not of a high-cost tier.
    model_id         uuid,
    tier_id          uuid,
    state            text not null check (state in ('open', 'by_request', 'closed')),
    -- Groups below cannot say otherwise.
    locked           boolean not null default false,
    ends_at          timestamptz,
    created_at       timestamptz not null,
    -- Taken away. The row stays: finished calls name it.
    removed_at       timestamptz,
    version          bigint not null default 1,
    primary key (org_id, authorization_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    foreign key (org_id, model_id) references models (org_id, model_id),
    foreign key (org_id, tier_id) references tiers (org_id, tier_id),
    constraint authorizations_one_target check (model_id is null or tier_id is null)
);
create unique index authorizations_once on authorizations (org_id, group_id, model_id, tier_id) nulls not distinct
    where removed_at is null;

-- An approved request: lifts "by request", never "closed", and ends by itself.
create table grants (
    org_id     uuid not null references organizations (org_id) on delete cascade,
    grant_id   uuid not null,
    model_id   uuid not null,
    -- To one of them.
    user_id    uuid,
    group_id   uuid,
    starts_at  timestamptz not null,
    ends_at    timestamptz not null,
    revoked_at timestamptz,
    primary key (org_id, grant_id),
    foreign key (org_id, model_id) references models (org_id, model_id),
    foreign key (org_id, user_id) references users (org_id, user_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    constraint grants_one_grantee check ((user_id is null) <> (group_id is null))
);
create index grants_by_end on grants (org_id, ends_at) where revoked_at is null;
