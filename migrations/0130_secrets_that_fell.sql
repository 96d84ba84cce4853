-- With which group's end a member secret died, and that group's last day then: its callers are told so also
-- when the group goes on again, which gives the secret no new life.
alter table secrets
    add column fell_group_id uuid,
    add column fell_on date,
    add constraint secrets_fall_is_whole check ((fell_group_id is null) = (fell_on is null)),
    add constraint secrets_fell_group_fkey foreign key (org_id, fell_group_id) references groups (org_id, group_id);
create index secrets_fallen on secrets (org_id, revoked_at) where fell_group_id is not null;
