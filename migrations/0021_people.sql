-- People who come, go and hand over: what members may do by themselves, who answers for an
-- application, and what is left on paper when somebody is suspended or removed.

alter table organizations
    -- Whether members may open a private context of their own.
    add column member_applications boolean not null default true,
    -- Whether members may ask for models.
    add column member_requests boolean not null default true,
    -- The last look through the whole chain of changes: when, how far, and where it broke.
    add column audit_checked_at timestamptz,
    add column audit_checked_seq bigint,
    add column audit_broken_seq bigint;

-- Whom to ask about an application. It gives no right; it is handed over, never left.
alter table applications add column owner_id uuid;
alter table applications add foreign key (org_id, owner_id) references users (org_id, user_id);
create index applications_by_owner on applications (org_id, owner_id) where archived_at is null;

-- Somebody reported it: it was found where it must not be.
alter table secrets add column leaked_at timestamptz;
create index secrets_leaked on secrets (org_id, leaked_at) where leaked_at is not null;

-- What ended with somebody's suspension or removal, as it was at that moment. Never changed.
create table receipts (
    org_id     uuid not null references organizations (org_id) on delete cascade,
    receipt_id uuid not null,
    user_id    uuid not null,
    kind       text not null check (kind in ('suspended', 'removed')),
    at         timestamptz not null,
    -- Who did it: the name at that time.
    actor      text not null,
    content    jsonb not null,
    primary key (org_id, receipt_id),
    foreign key (org_id, user_id) references users (org_id, user_id)
);
create index receipts_by_user on receipts (org_id, user_id, receipt_id desc);
