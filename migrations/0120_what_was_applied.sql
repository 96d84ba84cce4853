-- Entries of a price list that could not be read, each with the reason.
alter table price_lists add column unreadable jsonb not null default '[]';

-- What was applied of a price list, for whoever looks at it again. It goes with the list.
create table price_list_uses (
    org_id        uuid not null,
    price_list_id uuid not null,
    -- The number it has in the log.
    batch_id      uuid not null,
    applied_at    timestamptz not null,
    -- Which models have new prices, which entries were taken, and what was left out.
    did           jsonb not null,
    primary key (org_id, price_list_id, batch_id),
    foreign key (org_id, price_list_id) references price_lists (org_id, price_list_id) on delete cascade
);
