-- Where a price comes from, and price lists that somebody is looking at.

alter table prices
    -- Who or what said so. A file: an applied one. A book: the price book in this program. A list: one
    -- that somebody brought.
    add column source      text not null default 'typed' check (source in ('typed', 'file', 'book', 'list')),
    -- The day of the book or list.
    add column source_date date,
    -- Who set it, by name; empty: not taken down.
    add column set_by      text not null default '';

-- Those who set the prices there are stand in the log.
update prices p set set_by = a.actor, source = case when a.door = 'file' then 'file' else 'typed' end
from audit a
where a.org_id = p.org_id and a.subject_id = p.model_id and a.act = 'model.price' and a.at = p.starts_at;

-- A price list as it was read, until it is applied or the same person brings another.
create table price_lists (
    org_id        uuid not null references organizations (org_id) on delete cascade,
    price_list_id uuid not null,
    -- Who brought it: nobody else may go on with it.
    actor_id      uuid not null,
    entries       jsonb not null,
    read_at       timestamptz not null,
    primary key (org_id, price_list_id),
    foreign key (org_id, actor_id) references users (org_id, user_id)
);

-- What a provider calls a model tells whether the catalogue has it.
create index models_by_upstream on models (org_id, provider_id, upstream) where archived_at is null;
