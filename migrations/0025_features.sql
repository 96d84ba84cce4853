-- Which of a key's features each call used, and the sums of calls by what they used.

alter table events
    -- A set of features, a bit each, in the order of the code's list. 0: none of them, or booked before
    -- they were taken down.
    add column features integer not null default 0;

-- As usage_by_day, split further by the set of features: a call that used three of them stands in one
-- row, so that these rows add up to the same as those. Pages that do not ask for features read the
-- smaller table.
create table feature_usage_by_day (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    day            date not null,
    path_id        uuid not null,
    application_id uuid not null,
    user_id        uuid not null,
    set_id         uuid not null,
    model_id       uuid not null,
    use_case       text not null,
    features       integer not null,
    calls          bigint not null default 0,
    failed         bigint not null default 0,
    refused        bigint not null default 0,
    spend          bigint not null default 0,
    input          bigint not null default 0,
    cache_read     bigint not null default 0,
    cache_write    bigint not null default 0,
    output         bigint not null default 0,
    reasoning      bigint not null default 0,
    duration_ms    bigint not null default 0,
    primary key (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, features)
);
create index feature_usage_by_day_of_user on feature_usage_by_day (org_id, user_id, day);
create index feature_usage_by_day_of_application on feature_usage_by_day (org_id, application_id, day);

-- What was booked before counts as having used none.
insert into feature_usage_by_day (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, features, calls,
                                  failed, refused, spend, input, cache_read, cache_write, output, reasoning, duration_ms)
select org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, 0, calls, failed, refused, spend, input,
       cache_read, cache_write, output, reasoning, duration_ms
from usage_by_day;
