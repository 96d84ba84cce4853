-- Whom each batch of bookings was about: what processes that keep figures of everybody in memory
-- read anew.

-- How many batches of an organization were booked. A batch takes this row last and keeps it until it
-- commits: numbers become visible in their order, without gaps.
create table booking_marks (
    org_id uuid not null references organizations (org_id) on delete cascade,
    seq    bigint not null,
    primary key (org_id)
);

-- Kept for some minutes. Who finds a gap reads everybody.
create table booked_people (
    org_id    uuid not null references organizations (org_id) on delete cascade,
    seq       bigint not null,
    -- Null: everybody.
    user_ids  uuid[],
    booked_at timestamptz not null,
    primary key (org_id, seq)
);
create index booked_people_by_time on booked_people (booked_at);
