-- Which fields the log of an organization has, and between which lines: so that a part of a field's name
-- is looked for among some dozen names, and only where they stand.

create table audit_fields (
    org_id    uuid not null references organizations (org_id) on delete cascade,
    field     text not null,
    first_seq bigint not null,
    last_seq  bigint not null,
    primary key (org_id, field)
);

insert into audit_fields (org_id, field, first_seq, last_seq)
select a.org_id, k.field, min(a.seq), max(a.seq) from audit a, jsonb_object_keys(a.after) as k (field) group by 1, 2;
