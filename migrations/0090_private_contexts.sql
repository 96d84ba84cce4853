-- A private context is its person's alone. Assignments of its key to groups are taken back; member secrets
-- that others had of it are found by the round that looks for secrets that nothing carries any more.
delete from key_groups t using keys k, applications a
where k.org_id = t.org_id and k.key_id = t.key_id
  and a.org_id = k.org_id and a.application_id = k.application_id and a.personal_user_id is not null;
