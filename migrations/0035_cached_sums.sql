-- What the cache answered and saved, in the sums that are kept beside those by day.

alter table feature_usage_by_day
    add column cached bigint not null default 0,
    add column saved  bigint not null default 0;
alter table usage_sums
    add column cached bigint not null default 0,
    add column saved  bigint not null default 0;
