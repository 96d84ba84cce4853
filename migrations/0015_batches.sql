-- Changes to many people at once.

-- Whom a change is about, written down before it is looked at and confirmed; then what became of
-- each of them.
create table batches (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    batch_id    uuid not null,
    -- Who chose them: nobody else may go on with it.
    actor_id    uuid not null,
    user_ids    uuid[] not null,
    prepared_at timestamptz not null,
    -- What was done, to whom, and what it takes to undo it. None until it is confirmed.
    task        jsonb,
    results     jsonb,
    done_at     timestamptz,
    undone_at   timestamptz,
    primary key (org_id, batch_id),
    foreign key (org_id, actor_id) references users (org_id, user_id)
);
create index batches_not_done on batches (org_id, prepared_at) where done_at is null;

-- Lines of the log that belong to one such change.
alter table audit add column batch_id uuid;
create index audit_by_batch on audit (org_id, batch_id, seq desc) where batch_id is not null;
