-- Two more things a key can do, answers that belong to somebody, and what the ledger knows of them.

alter table keys
    -- For how long a whole answer is given again to the same call; null: never.
    add column cache_seconds integer check (cache_seconds between 1 and 604800),
    -- What is looked for in the input and what happens then: `secret=refuse`. In order.
    add column guardrails text[] not null default '{}'
        check (array_to_string(guardrails, ',') ~ '^([a-z_]+=(observe|mask|refuse)(,|$))*$');

alter table events
    -- It was answered from what an earlier call brought, and cost nothing.
    add column cached  boolean not null default false,
    -- What that earlier call had cost.
    add column saved   bigint not null default 0 check (saved >= 0),
    -- What was found in its input, by kind, and what became of it: `email=mask=2,iban=observe=1`. Never the text.
    add column guarded text   not null default '';

alter table usage_by_day
    add column cached bigint not null default 0,
    add column saved  bigint not null default 0;

-- Answers that a provider keeps, and conversations: whose they are. Kept as long as providers keep them.
create table kept_answers (
    org_id         uuid not null references organizations (org_id) on delete cascade,
    -- As the provider names it: resp_…, conv_….
    answer_id      text not null check (length(answer_id) between 1 and 200),
    application_id uuid not null,
    expires_at     timestamptz not null,
    primary key (org_id, answer_id)
);
create index kept_answers_by_end on kept_answers (org_id, expires_at);
