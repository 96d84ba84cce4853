-- What refused calls would have used of their keys, as it is kept of those that passed.

alter table refusals
    -- A set of features, a bit each. 0: none of them, or refused before they were taken down.
    add column features integer not null default 0;
