-- Closed months: what finance was told stays as it was told.

-- A month that is closed, by the days of the organization's time zone at that moment. Months are
-- closed in order and never opened again.
create table closed_months (
    org_id      uuid not null references organizations (org_id) on delete cascade,
    -- Its first day.
    month       date not null,
    time_zone   text not null,
    starts_at   timestamptz not null,
    ends_at     timestamptz not null,
    closed_at   timestamptz not null,
    closed_by   uuid,
    closed_name text not null,
    -- What the lines of the report come to, adjustments of earlier months included.
    calls       bigint not null,
    spend       bigint not null,
    adjusted    bigint not null,
    lines       bigint not null,
    -- Over every line, name and member's sum, in the order of their keys.
    seal        bytea not null,
    primary key (org_id, month),
    constraint closed_months_are_months check (extract(day from month) = 1)
);

-- The lines of closed months. Where of_month is earlier than month, it is an adjustment: calls of a
-- month that was closed already when they were booked.
create table report_lines (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    month          date not null,
    of_month       date not null,
    path_id        uuid not null,
    application_id uuid not null,
    -- Nil: calls without a person.
    user_id        uuid not null,
    model_id       uuid not null,
    calls          bigint not null,
    failed         bigint not null,
    spend          bigint not null,
    input          bigint not null,
    cache_read     bigint not null,
    cache_write    bigint not null,
    output         bigint not null,
    reasoning      bigint not null,
    primary key (org_id, month, of_month, path_id, application_id, user_id, model_id),
    foreign key (org_id, month) references closed_months (org_id, month) deferrable initially deferred
);

-- What things were called when the month was closed. A provider stands under its model's id.
create table report_names (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    month    date not null,
    kind     text not null check (kind in ('group', 'application', 'user', 'model', 'provider')),
    thing_id uuid not null,
    name     text not null,
    primary key (org_id, month, kind, thing_id),
    foreign key (org_id, month) references closed_months (org_id, month) deferrable initially deferred
);

-- Member spend of closed months: what the people of a group spent, wherever they called.
create table report_members (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    month    date not null,
    group_id uuid not null,
    calls    bigint not null,
    spend    bigint not null,
    primary key (org_id, month, group_id),
    foreign key (org_id, month) references closed_months (org_id, month) deferrable initially deferred
);

-- Calls that were booked after the month they were made in was closed: they count in the report of
-- the month that was next then.
create table late_calls (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    call_id        uuid not null,
    -- The UTC day of the call: names its partition of the ledger.
    day            date not null,
    of_month       date not null,
    month          date not null,
    path_id        uuid not null,
    set_id         uuid not null,
    application_id uuid not null,
    user_id        uuid not null,
    model_id       uuid not null,
    failed         bigint not null,
    spend          bigint not null,
    input          bigint not null,
    cache_read     bigint not null,
    cache_write    bigint not null,
    output         bigint not null,
    reasoning      bigint not null,
    primary key (org_id, call_id)
);
create index late_calls_by_month on late_calls (org_id, month);
