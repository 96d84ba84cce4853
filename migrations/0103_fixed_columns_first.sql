-- The columns of a key whose place is fixed come first: behind a text, each comparison finds them one after the
-- other. Whoever looks for a window names what it is of.
alter table windows
    drop constraint windows_pkey,
    add primary key (org_id, thing_id, person_id, starts_at, scope_kind, metric, window_kind);
