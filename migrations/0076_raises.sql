-- Requests for more money under a limit, beside those for models: what is agreed to is a higher cap, until
-- the last day.

alter table requests
    alter column model_id drop not null,
    alter column per drop not null,
    -- The meter whose cap is to be raised; what it counts is money.
    add column scope_kind  text,
    add column thing_id    uuid,
    add column person_id   uuid,
    add column window_kind text,
    -- What the limit is on, as that was called then: for whoever looks for it.
    add column thing_name  text,
    -- The cap when this was asked for.
    add column cap_before  bigint,
    -- What the cap is again when it ends; none: the own limit goes, and what held before holds.
    add column cap_after   bigint,
    -- The last day that was agreed to.
    add column raised_until date,
    -- When it ended: by its day, by somebody, or by another one that took its place.
    add column ended_at    timestamptz,
    drop constraint requests_granted,
    add constraint requests_granted check (
        (state = 'approved') = (granted is not null)
        and (grant_id is not null) = (granted is not null and model_id is not null)
    ),
    add constraint requests_one_wish check (
        (model_id is null) = (per is null)
        and (model_id is null) = (scope_kind is not null)
        and num_nulls(scope_kind, thing_id, person_id, window_kind, thing_name, cap_before) in (0, 6)
    ),
    add constraint requests_raised check ((raised_until is not null) = (model_id is null and state = 'approved')),
    add constraint requests_ended check (ended_at is null or raised_until is not null);

-- Asking twice for the same thing is one request.
create unique index requests_raise_waiting_once
    on requests (org_id, requester_id, scope_kind, thing_id, person_id, window_kind)
    where state = 'waiting' and model_id is null;
-- Which limit is raised; and what has to end by itself.
create index requests_raised_limits on requests (org_id, scope_kind, thing_id) where raised_until is not null and ended_at is null;
create index requests_raised on requests (org_id, raised_until) where raised_until is not null and ended_at is null;
