-- Calls that were answered without a word about what they used: somebody is told of it once for each
-- provider and day. There are few, and they are looked for after every booking.
create index events_unreported on events (org_id, provider_id, started_at) where estimated and outcome = 'ok';
