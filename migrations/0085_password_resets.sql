-- A link with which somebody who forgot their password chooses another one. Of the installation, as
-- sign-ins are: one for each at a time, and only a hash of it.

create table password_resets (
    account_id uuid primary key references accounts (account_id) on delete cascade,
    token_hash bytea not null,
    expires_at timestamptz not null,
    constraint password_resets_token_key unique (token_hash)
);

alter table mails
    drop constraint mails_kind_check,
    add constraint mails_kind_check check
        (kind in ('invitation', 'password', 'request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge'));
