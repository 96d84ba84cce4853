-- Upstreams and the models they offer.

create table providers (
    org_id                uuid not null references organizations (org_id) on delete cascade,
    provider_id           uuid not null,
    name                  text not null,
    dialect               text not null check (dialect in ('openai', 'anthropic')),
    base_url              text not null,
    -- Encrypted with the master key, bound to this row; never leaves the gateway in plain.
    credential            bytea,
    -- From which environment variable an applied file took it, so that an export can say so.
    credential_env        text,
    credential_optional   boolean not null default false,
    -- Loopback and private ranges are refused otherwise.
    allow_private_address boolean not null default false,
    archived_at           timestamptz,
    created_at            timestamptz not null,
    version               bigint not null default 1,
    primary key (org_id, provider_id)
);
create unique index providers_name_key on providers (org_id, lower(name)) where archived_at is null;

create table tiers (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    tier_id     uuid not null,
    name        text not null,
    -- Never matched by "all models": opens only by its own name or a model's.
    high_cost   boolean not null default false,
    position    integer not null default 0,
    archived_at timestamptz,
    created_at  timestamptz not null,
    version     bigint not null default 1,
    primary key (org_id, tier_id)
);
create unique index tiers_name_key on tiers (org_id, lower(name)) where archived_at is null;

create table models (
    org_id            uuid not null references organizations (org_id) on delete cascade,
    model_id          uuid not null,
    -- What callers write.
    name              text not null,
    provider_id       uuid not null,
    -- What the provider calls it.
    upstream          text not null,
    modality          text not null check (modality in ('chat', 'vision', 'embedding', 'image', 'audio', 'video', 'rerank')),
    tier_id           uuid not null,
    context_tokens    bigint check (context_tokens > 0),
    max_output_tokens bigint check (max_output_tokens > 0),
    -- New models wait until a person has decided; nothing opens before.
    review            text not null check (review in ('pending', 'accepted')),
    archived_at       timestamptz,
    created_at        timestamptz not null,
    version           bigint not null default 1,
    primary key (org_id, model_id),
    foreign key (org_id, provider_id) references providers (org_id, provider_id),
    foreign key (org_id, tier_id) references tiers (org_id, tier_id)
);
create unique index models_name_key on models (org_id, name) where archived_at is null;

-- What a model costs from a moment on. Rows are added, never changed: a finished call can always
-- be priced again as it was.
create table prices (
    org_id           uuid not null references organizations (org_id) on delete cascade,
    model_id         uuid not null,
    starts_at        timestamptz not null,
    -- Nano-dollars per million units; null: the price of the bucket it is part of.
    input            bigint check (input >= 0),
    cache_read       bigint check (cache_read >= 0),
    cache_write      bigint check (cache_write >= 0),
    cache_write_long bigint check (cache_write_long >= 0),
    output           bigint check (output >= 0),
    reasoning        bigint check (reasoning >= 0),
    audio_input      bigint check (audio_input >= 0),
    audio_output     bigint check (audio_output >= 0),
    image            bigint check (image >= 0),
    call             bigint check (call >= 0),
    primary key (org_id, model_id, starts_at),
    foreign key (org_id, model_id) references models (org_id, model_id)
);
