-- People in an organization.

create table users (
    org_id                uuid not null references organizations (org_id) on delete cascade,
    user_id               uuid not null,
    -- None until the invitation is accepted.
    account_id            uuid references accounts (account_id),
    email                 text not null check (email = lower(email)),
    name                  text not null,
    role                  text not null check (role in ('owner', 'admin', 'auditor', 'member')),
    suspended_at          timestamptz,
    -- Left the organization. The row stays, so that names on old calls stay.
    removed_at            timestamptz,
    invited_at            timestamptz,
    invitation_hash       bytea,
    invitation_expires_at timestamptz,
    created_at            timestamptz not null,
    version               bigint not null default 1,
    primary key (org_id, user_id)
);
create unique index users_email_key on users (org_id, email) where removed_at is null;
create unique index users_account_key on users (org_id, account_id) where removed_at is null;
create index users_by_name on users (org_id, lower(name), user_id);
-- Sign-in asks in which organizations an account has a user.
create index users_by_account on users (account_id);
