-- People are told of two more things: a secret that was found where it must not be, and something
-- that is theirs to answer for now.

alter table notices
    drop constraint notices_kind_check,
    add constraint notices_kind_check check
        (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge'));
alter table mails
    drop constraint mails_kind_check,
    add constraint mails_kind_check check
        (kind in ('invitation', 'request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge'));
alter table notice_preferences
    drop constraint notice_preferences_kind_check,
    add constraint notice_preferences_kind_check check
        (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused', 'secret', 'charge'));
