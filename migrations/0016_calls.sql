-- What one call's page and the list of calls need to know of a refusal, and a way to one person's calls.

alter table refusals
    -- The sentence the caller read.
    add column message text not null default '',
    -- The path of the group and the person's groups at the time, as events have them. Nil: taken
    -- down before they were.
    add column path_id uuid not null default '00000000-0000-0000-0000-000000000000',
    add column set_id  uuid not null default '00000000-0000-0000-0000-000000000000';

-- Where a group has always stood in one place, that is where it stood.
update refusals r set path_id = p.path_id
from group_paths p
where p.org_id = r.org_id and p.groups[cardinality(p.groups)] = r.group_id;

create index refusals_by_time on refusals (org_id, at desc, call_id);
create index events_by_user on events (org_id, user_id, started_at desc, call_id) where user_id is not null;
