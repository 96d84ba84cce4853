-- Looks at who still needs what: every membership, grant and secret of a group, confirmed or dropped
-- by somebody until a day.

create table reviews (
    org_id    uuid not null references organizations (org_id) on delete cascade,
    review_id uuid not null,
    group_id  uuid not null,
    -- Whether the groups below are looked at, too.
    below     boolean not null,
    -- The last day, and the first moment after it in the organization's time zone.
    due_on    date not null,
    due_at    timestamptz not null,
    opened_at timestamptz not null,
    -- Who opened it: the name at that time.
    opened_by text not null,
    closed_at timestamptz,
    primary key (org_id, review_id),
    foreign key (org_id, group_id) references groups (org_id, group_id)
);
create index reviews_open on reviews (org_id, due_at) where closed_at is null;

-- What is looked at, as it was when the review was opened.
create table review_items (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    review_id    uuid not null,
    item_id      uuid not null,
    kind         text not null check (kind in ('member', 'grant', 'secret')),
    -- The group it is in, by id and by path at that time.
    group_id     uuid not null,
    place        text not null,
    -- The person, where there is one.
    user_id      uuid,
    -- The membership, the grant or the secret.
    thing_id     uuid not null,
    name         text not null,
    detail       text not null default '',
    last_used_at timestamptz,
    high_cost    boolean not null default false,
    state        text not null check (state in ('waiting', 'confirmed', 'dropped', 'lapsed')),
    decided_at   timestamptz,
    decided_by   text,
    primary key (org_id, review_id, item_id),
    foreign key (org_id, review_id) references reviews (org_id, review_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    foreign key (org_id, user_id) references users (org_id, user_id),
    constraint review_items_decided check ((state = 'waiting') = (decided_at is null))
);
create index review_items_by_state on review_items (org_id, review_id, state, kind, item_id);
