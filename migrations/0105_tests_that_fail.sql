-- A pinned test can begin to fail by a date that comes: a membership, a group or a grant that ends. Nobody saves
-- anything then, so those who run the organization are told.
alter table access_tests
    -- How it stood when it was last looked at; null: nobody has looked since it was pinned or edited.
    add column holds boolean,
    -- Since when it fails, where it did not when it was pinned.
    add column fails_since timestamptz,
    add constraint access_tests_fails_since check (fails_since is null or not holds);

-- When an organization's tests were last looked at, and by which facts: until something is changed, or a date
-- comes, they stand as they did.
create table access_test_looks (
    org_id        uuid primary key references organizations (org_id) on delete cascade,
    facts_version bigint not null,
    looked_at     timestamptz not null
);

alter table notices
    drop constraint notices_kind_check,
    add constraint notices_kind_check check
        (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge', 'review', 'test'));
alter table mails
    drop constraint mails_kind_check,
    add constraint mails_kind_check check
        (kind in ('invitation', 'password', 'request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge', 'review', 'test'));
alter table notice_preferences
    drop constraint notice_preferences_kind_check,
    add constraint notice_preferences_kind_check check
        (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge', 'review', 'test'));
