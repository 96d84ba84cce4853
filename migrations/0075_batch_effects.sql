-- What a change to many people did to each of them, a row each: there may be as many as an organization
-- has people, and a page reads some of them.

create table batch_effects (
    org_id   uuid not null references organizations (org_id) on delete cascade,
    batch_id uuid not null,
    outcome  text not null check (outcome in ('changed', 'already', 'refused')),
    -- Counts from zero among those with this outcome, in the order they were changed in.
    place    integer not null,
    user_id  uuid not null,
    -- As they were called then.
    name     text not null,
    email    text not null,
    said     text not null,
    -- What it takes to bring them back; none where there is no way.
    undo     jsonb,
    primary key (org_id, batch_id, outcome, place),
    foreign key (org_id, batch_id) references batches (org_id, batch_id),
    foreign key (org_id, user_id) references users (org_id, user_id)
);

insert into batch_effects (org_id, batch_id, outcome, place, user_id, name, email, said, undo)
select b.org_id, b.batch_id, e.effect ->> 'outcome',
       row_number() over (partition by b.org_id, b.batch_id, e.effect ->> 'outcome' order by e.nth) - 1,
       (e.effect ->> 'user')::uuid, e.effect ->> 'name', e.effect ->> 'email', e.effect ->> 'text',
       nullif(e.effect -> 'undo', 'null'::jsonb)
from batches b, jsonb_array_elements(b.results) with ordinality as e (effect, nth)
where b.done_at is not null;

alter table batches drop column results;
