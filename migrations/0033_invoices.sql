-- What providers bill, beside what the ledger says.

create table invoices (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    invoice_id   uuid not null,
    provider_id  uuid not null,
    name         text not null,
    -- How it was read: openai, anthropic, generic.
    shape        text not null check (shape in ('openai', 'anthropic', 'generic')),
    -- The UTC days it speaks of.
    first_day    date not null,
    last_day     date not null,
    -- Which of its figures it has at all.
    has_money    boolean not null,
    has_tokens   boolean not null,
    uploaded_at  timestamptz not null,
    uploaded_by  uuid,
    -- When the ledger was last looked at.
    compared_at  timestamptz not null,
    archived_at  timestamptz,
    primary key (org_id, invoice_id),
    foreign key (org_id, provider_id) references providers (org_id, provider_id)
);

-- One line for each UTC day and model, of the invoice, of the ledger, or of both.
create table invoice_lines (
    org_id        uuid not null references organizations (org_id) on delete cascade,
    invoice_id    uuid not null,
    day           date not null,
    -- As the invoice writes it; where only the ledger has it, as the catalogue names it upstream.
    model         text not null,
    -- The catalogue's; nil where the catalogue has none.
    model_id      uuid not null,
    billed        boolean not null,
    cost          bigint not null,
    input         bigint not null,
    output        bigint not null,
    ledger_calls  bigint not null,
    ledger_cost   bigint not null,
    ledger_input  bigint not null,
    ledger_output bigint not null,
    primary key (org_id, invoice_id, day, model),
    foreign key (org_id, invoice_id) references invoices (org_id, invoice_id)
);
