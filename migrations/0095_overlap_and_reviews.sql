-- Somebody's own secret is replaced with an overlap, as those of services are: for a while two of theirs live.
-- At most one of them has no end.
drop index secrets_one_per_member;
create unique index secrets_one_per_member on secrets (org_id, key_id, user_id)
    where kind = 'member' and revoked_at is null and expires_at is null;

-- Which review ended a grant is asked where the grant is shown.
create index review_items_by_grant on review_items (org_id, thing_id) where kind = 'grant';

-- Leads are told of reviews of their groups.
alter table notices
    drop constraint notices_kind_check,
    add constraint notices_kind_check check
        (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge', 'review'));
alter table mails
    drop constraint mails_kind_check,
    add constraint mails_kind_check check
        (kind in ('invitation', 'password', 'request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge', 'review'));
alter table notice_preferences
    drop constraint notice_preferences_kind_check,
    add constraint notice_preferences_kind_check check
        (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge', 'review'));
