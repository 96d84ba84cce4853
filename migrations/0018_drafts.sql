-- Drafts of authorizations: edits that are looked at, and then saved, together.

create table drafts (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    -- Also the id that its lines of the log carry.
    draft_id    uuid not null,
    -- Who made it: nobody else may go on with it.
    actor_id    uuid not null,
    edits       jsonb not null,
    prepared_at timestamptz not null,
    -- What was done to which cell, and what it takes to undo it. None until it is saved.
    made        jsonb,
    done_at     timestamptz,
    undone_at   timestamptz,
    primary key (org_id, draft_id),
    foreign key (org_id, actor_id) references users (org_id, user_id)
);
create index drafts_not_done on drafts (org_id, prepared_at) where done_at is null;
