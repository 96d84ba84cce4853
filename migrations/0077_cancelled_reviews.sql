-- A review that was opened by mistake is cancelled: nothing comes of it. Whoever opened it may, and whoever
-- stands above all of them.
alter table reviews
    -- Who opened it; none where nobody wrote it down.
    add column opened_by_id uuid,
    -- Who cancelled it: the name at that time.
    add column cancelled_by text,
    add constraint reviews_cancelled_are_closed check (cancelled_by is null or closed_at is not null);
