-- What a policy does when one of its models fails; which policy stands for a group's calls that name no
-- model; how long each provider is waited for.

alter table policy_steps
    -- After which failures the next model is asked. Any other one is the answer.
    add column after text[] not null default '{connection,timeout,408,409,429,5xx,credential}',
    -- How often the model is tried, where nothing was executed.
    add column attempts smallint not null default 1 check (attempts between 1 and 3),
    -- How long the head of its answer is waited for. Null: as the provider says.
    add column first_byte_seconds integer check (first_byte_seconds between 1 and 600);

alter table groups
    -- For calls of applications in it and below that name no model and whose key has none of its own.
    add column policy_id uuid,
    add foreign key (org_id, policy_id) references policies (org_id, policy_id);

alter table providers
    -- Seconds. Null: what is usual.
    add column connection_seconds integer check (connection_seconds between 1 and 60),
    add column first_byte_seconds integer check (first_byte_seconds between 1 and 1800),
    add column silence_seconds    integer check (silence_seconds between 1 and 1800),
    add column total_seconds      integer check (total_seconds between 1 and 7200);
