-- The same figures of the same provider are brought once: whoever sends a file twice would otherwise
-- compare, and perhaps pay, the same bill twice.

alter table invoices
    -- SHA-256 of the lines as they were read. Null: brought before this was taken down.
    add column digest bytea check (length(digest) = 32);
create unique index invoices_once on invoices (org_id, provider_id, digest) where archived_at is null;
