-- Invoices that say all tokens in one column, and not which of them were input: the sum stands with the input.
alter table invoices add column tokens_in_one boolean not null default false;
