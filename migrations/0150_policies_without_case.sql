-- Two policies whose names differ in upper and lower case only are taken for one another by whoever reads them,
-- and callers reach the one or the other by a letter. No second one is made any more. Those that are there
-- already go on, because callers may use either: all but the oldest of them stand aside until they are renamed.
alter table policies add column differs_in_case boolean not null default false;
update policies p set differs_in_case = true
where p.archived_at is null and exists (
    select from policies o
    where o.org_id = p.org_id and lower(o.name) = lower(p.name) and o.archived_at is null
      and (o.created_at, o.policy_id) < (p.created_at, p.policy_id));
create unique index policies_name_in_any_case on policies (org_id, lower(name))
    where archived_at is null and not differs_in_case;
