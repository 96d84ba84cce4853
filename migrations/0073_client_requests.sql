-- What a caller calls its request, in its own `x-request-id`: kept with the call, so that somebody who has
-- only that finds it. It names nothing here, and callers may give the same to several calls.
alter table events add column client_request text not null default '';
-- None where an older version of the program, which does not know of it, writes beside this one.
alter table refusals add column client_request text;
create index events_by_client_request on events (org_id, client_request) where client_request <> '';
create index refusals_by_client_request on refusals (org_id, client_request) where client_request <> '';
