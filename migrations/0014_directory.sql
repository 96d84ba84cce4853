-- What the directory of people reads, for fifty thousand of them.

-- Whether somebody has a live secret, and their last call.
create index secrets_by_user on secrets (org_id, user_id) where user_id is not null;

-- What everybody spent in one month. Neither column ever changes, so that booking a call does not
-- touch this index.
create index windows_of_people_by_month on windows (org_id, starts_at)
    where scope_kind = 'user' and metric = 'spend' and window_kind = 'month';
