-- Whose limits were that are gone: the log tells of a limit by its id, and what was changed about somebody is
-- asked by theirs.
create table limits_that_were (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    limit_id uuid not null,
    user_id  uuid not null,
    primary key (org_id, limit_id)
);
create index limits_that_were_of on limits_that_were (org_id, user_id);
