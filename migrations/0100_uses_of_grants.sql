-- When a grant was last used is asked where it is looked at whether it is still needed.
create index events_by_grant on events (org_id, grant_id, started_at desc) where grant_id is not null;
