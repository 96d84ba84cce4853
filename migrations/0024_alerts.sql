-- Alerts: what was noticed about money, told once, and where programs are told of it.

-- How an organization wants to be told. No row: as usual.
create table alert_settings (
    org_id        uuid not null references organizations (org_id) on delete cascade,
    -- Kinds that are watched for.
    kinds         text[] not null,
    -- Nano-dollars: a day that costs less is no anomaly.
    anomaly_floor bigint not null check (anomaly_floor >= 0),
    -- Mail and webhooks wait while it is quiet: minutes of the day, in the organization's time zone.
    -- From past midnight when it ends before it begins.
    quiet_from    smallint check (quiet_from between 0 and 1439),
    quiet_to      smallint check (quiet_to between 0 and 1439),
    version       bigint not null default 1,
    primary key (org_id),
    constraint alert_settings_quiet check ((quiet_from is null) = (quiet_to is null) and (quiet_from is null or quiet_from <> quiet_to))
);

create table alerts (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    alert_id    uuid not null,
    kind        text not null check (kind in ('limit', 'forecast', 'anomaly', 'unused')),
    -- Names what fired: the thing, the window or day, and the threshold with its cap. Once each.
    key         text not null,
    scope_kind  text not null check (scope_kind in ('organization', 'group', 'application', 'user', 'member', 'authorization', 'grant')),
    thing_id    uuid not null,
    person_id   uuid not null,
    -- From the root to the group it belongs to: who leads one of them sees it. Empty: the
    -- organization's, or a person's.
    path        uuid[] not null,
    title       text not null,
    body        text not null,
    -- The rule that fired, in words.
    rule        text not null,
    href        text not null,
    fired_at    timestamptz not null,
    -- How many were told. None: a higher threshold was crossed at the same time and told instead.
    told        integer not null,
    primary key (org_id, alert_id),
    constraint alerts_once unique (org_id, key)
);
create index alerts_by_kind on alerts (org_id, kind, alert_id desc);

-- Where programs are told.
create table webhooks (
    org_id                uuid not null references organizations (org_id) on delete cascade,
    webhook_id            uuid not null,
    url                   text not null,
    -- The secret that deliveries are signed with, sealed.
    secret                bytea not null,
    kinds                 text[] not null,
    allow_private_address boolean not null,
    created_at            timestamptz not null,
    archived_at           timestamptz,
    primary key (org_id, webhook_id)
);

create table deliveries (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    delivery_id uuid not null,
    webhook_id  uuid not null,
    -- The same when it is tried or played again: who receives it can tell.
    message_id  uuid not null,
    type        text not null,
    body        text not null,
    state       text not null check (state in ('due', 'sent', 'failed')),
    tries       smallint not null default 0,
    next_at     timestamptz not null,
    -- What came back last: a status and the beginning of the answer, or why there was none.
    status      smallint,
    answer      text,
    -- An earlier delivery that this one plays again.
    replay_of   uuid,
    created_at  timestamptz not null,
    ended_at    timestamptz,
    primary key (org_id, delivery_id),
    foreign key (org_id, webhook_id) references webhooks (org_id, webhook_id)
);
create index deliveries_due on deliveries (org_id, next_at) where state = 'due';
create index deliveries_by_webhook on deliveries (org_id, webhook_id, delivery_id desc);
