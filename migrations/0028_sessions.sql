-- Sessions that people can look at and end: since when, last seen when. What is kept of the device is
-- in the content.

alter table sessions
    -- What pages call it: its hash opens nothing, but is nobody's business either.
    add column session_id uuid not null default gen_random_uuid(),
    add column started_at timestamptz not null default now(),
    add column seen_at    timestamptz not null default now();
-- Time comes in as a parameter from here on.
alter table sessions
    alter column started_at drop default,
    alter column seen_at drop default;
create unique index sessions_by_id on sessions (session_id);
