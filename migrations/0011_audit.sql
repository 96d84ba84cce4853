-- Every change: who, what, before and after, through which door. Chained by a keyed hash.

create table audit (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    -- 1, 2, 3 … without gaps.
    seq          bigint not null,
    at           timestamptz not null,
    actor_id     uuid,
    -- The name at that time.
    actor        text not null,
    door         text not null check (door in ('console', 'api', 'file', 'scim', 'system')),
    act          text not null,
    subject_kind text not null,
    subject_id   uuid not null,
    subject      text not null,
    -- Changed fields only, as objects of the same keys.
    before       jsonb,
    after        jsonb,
    -- HMAC over the hash before and every column above.
    hash         bytea not null,
    primary key (org_id, seq)
);
create index audit_by_subject on audit (org_id, subject_id, seq desc);
create index audit_by_actor on audit (org_id, actor_id, seq desc);
