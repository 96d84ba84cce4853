-- Since when a limit says what it says, and the organization's default: a window that had ended before that is
-- not measured by it.
alter table limits add column changed_at timestamptz;
alter table organizations add column default_user_limit_since timestamptz;
