-- The tree of groups, and who is in them.

create table groups (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    group_id    uuid not null,
    parent_id   uuid,
    -- From the root down to the parent. Kept beside parent_id so that a subtree is one index
    -- look-up and a cycle cannot be stored.
    ancestors   uuid[] not null,
    name        text not null,
    kind        text not null check (kind in ('department', 'project', 'function', 'custom')),
    -- The last day it is open, in the organization's time zone.
    ends_on     date,
    archived_at timestamptz,
    created_at  timestamptz not null,
    version     bigint not null default 1,
    primary key (org_id, group_id),
    foreign key (org_id, parent_id) references groups (org_id, group_id),
    constraint groups_no_cycle check (not group_id = any (ancestors)),
    constraint groups_path_matches_parent check (
        (parent_id is null and cardinality(ancestors) = 0)
        or (parent_id is not null and cardinality(ancestors) between 1 and 31
            and parent_id = ancestors[cardinality(ancestors)])
    )
);
create unique index groups_name_key on groups (org_id, parent_id, lower(name)) nulls not distinct
    where archived_at is null;
create index groups_by_ancestor on groups using gin (ancestors);

-- One row per person, group and stretch of time: ended ones stay as history.
create table memberships (
    org_id        uuid not null references organizations (org_id) on delete cascade,
    membership_id uuid not null,
    group_id      uuid not null,
    user_id       uuid not null,
    standing      text not null check (standing in ('lead', 'member')),
    -- A source touches only its own memberships.
    source        text not null check (source in ('manual', 'default', 'scim', 'oidc')),
    started_at    timestamptz not null,
    -- When it ends by itself.
    ends_at       timestamptz,
    -- When it was ended.
    ended_at      timestamptz,
    primary key (org_id, membership_id),
    foreign key (org_id, group_id) references groups (org_id, group_id),
    foreign key (org_id, user_id) references users (org_id, user_id)
);
create unique index memberships_once on memberships (org_id, group_id, user_id) where ended_at is null;
create index memberships_by_user on memberships (org_id, user_id) where ended_at is null;

-- Groups that new users join.
create table default_groups (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    group_id uuid not null,
    primary key (org_id, group_id),
    foreign key (org_id, group_id) references groups (org_id, group_id)
);
