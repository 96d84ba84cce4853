-- A rule that only observes has quotas, too: what counts in them, and what they would have refused.

alter table events
    -- The rule that only observes, and by which the call would have passed, too: it counts in its quotas.
    add column observed_by uuid;
alter table in_flight_calls
    add column observed_by uuid;
