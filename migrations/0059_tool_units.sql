-- What a provider's own tools do and bill by the piece: what one costs, and how many a call used. In
-- `prices` null is no price, as everywhere: a call that brings such a tool is refused then, because
-- what cannot be charged cannot be capped.
alter table prices
    add column web_search   bigint check (web_search >= 0),
    add column file_search  bigint check (file_search >= 0),
    add column code_session bigint check (code_session >= 0);

alter table events
    add column web_searches  bigint not null default 0,
    add column file_searches bigint not null default 0,
    add column code_sessions bigint not null default 0;
