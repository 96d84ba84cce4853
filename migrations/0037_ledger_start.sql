-- Where the ledger begins: days before it were let go of, and stay in the sums, the windows and the
-- closed months only. No row: it has everything.
create table ledger_start (
    only_one  boolean primary key default true check (only_one),
    -- A UTC day, as partitions are.
    first_day date not null
);
