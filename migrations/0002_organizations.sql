-- The tenant.

create table organizations (
    org_id             uuid primary key,
    name               text not null,
    time_zone          text not null,
    week_start         text not null check (week_start in ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')),
    -- Every amount is US dollars; the column is here so that this is said, not guessed.
    currency           text not null default 'USD' check (currency = 'USD'),
    -- Nano-dollars a month for users without a limit of their own; null: no limit.
    default_user_limit bigint check (default_user_limit >= 0),
    -- The status a spent budget is answered with.
    budget_status      text not null default '402' check (budget_status in ('402', '429', '403')),
    -- Whom a refused caller should ask when no lead is nearer.
    contact            text,
    created_at         timestamptz not null,
    version            bigint not null default 1,
    -- Counts up with every change to anything the gateway decides by.
    facts_version      bigint not null default 1,
    -- Head of the audit chain: the last sequence number and its hash. Locked by every change,
    -- so that changes to one organization happen one after the other.
    audit_seq          bigint not null default 0,
    audit_hash         bytea not null default ''
);
