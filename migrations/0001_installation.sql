-- What belongs to the installation as a whole, not to any organization.
--
-- The rules for every later table: what belongs to an organization has org_id first in its
-- primary key, in every unique constraint and in every foreign key, so that the schema can be
-- distributed by org_id as it is. No triggers; nothing is deleted by cascade from outside its
-- organization; money is an integer of nano-dollars; time comes in as a parameter.

create table installation (
    singleton        boolean primary key default true check (singleton),
    -- Keyed hash of the one-time token printed at first start; gone once set-up is done.
    setup_token_hash bytea,
    -- When the first owner was made. Set exactly once.
    set_up_at        timestamptz
);
insert into installation default values;

-- A person's sign-in. The same person may be a user of several organizations.
create table accounts (
    account_id    uuid primary key,
    email         text not null check (email = lower(email)),
    name          text not null,
    -- argon2id in PHC form; none for people who only come through an identity provider.
    password_hash text,
    -- May make organizations: the person who set the installation up.
    operator      boolean not null default false,
    created_at    timestamptz not null,
    constraint accounts_email_key unique (email)
);

-- Browser sessions. Only a hash of the id is here: reading this table opens no session.
create table sessions (
    session_hash bytea primary key,
    -- None before somebody signs in.
    account_id   uuid references accounts (account_id) on delete cascade,
    content      jsonb not null,
    expires_at   timestamptz not null
);
create index sessions_by_account on sessions (account_id);
create index sessions_by_expiry on sessions (expires_at);
