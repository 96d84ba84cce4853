-- What people are told without looking, and requests that need several to agree.

-- One line for one person. Written in the transaction of what it tells of.
create table notices (
    org_id     uuid not null references organizations (org_id) on delete cascade,
    notice_id  uuid not null,
    user_id    uuid not null,
    kind       text not null check (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused')),
    -- Names what it tells of: nobody is told the same twice.
    key        text not null,
    -- Names in it are those of that time.
    title      text not null,
    body       text not null,
    -- The page it is about, as a path of the console.
    href       text not null,
    created_at timestamptz not null,
    read_at    timestamptz,
    primary key (org_id, notice_id),
    constraint notices_once unique (org_id, user_id, key),
    foreign key (org_id, user_id) references users (org_id, user_id)
);
create index notices_by_user on notices (org_id, user_id, notice_id desc);
create index notices_unread on notices (org_id, user_id) where read_at is null;

-- Mail that is to be sent, and what became of it.
create table mails (
    org_id     uuid not null references organizations (org_id) on delete cascade,
    mail_id    uuid not null,
    user_id    uuid not null,
    kind       text not null check (kind in ('invitation', 'request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused')),
    -- Subject, text and link, sealed: the link of an invitation lets its reader in. Gone once the
    -- mail is sent or given up.
    sealed     bytea,
    state      text not null check (state in ('due', 'sent', 'failed')),
    tries      smallint not null default 0,
    -- Not before this. Whoever takes it moves this ahead, so that nobody else takes it meanwhile.
    next_at    timestamptz not null,
    -- Why the last try failed.
    error      text,
    created_at timestamptz not null,
    ended_at   timestamptz,
    primary key (org_id, mail_id),
    foreign key (org_id, user_id) references users (org_id, user_id),
    constraint mails_content check ((state = 'due') = (sealed is not null))
);
create index mails_due on mails (org_id, next_at) where state = 'due';
create index mails_by_user on mails (org_id, user_id, mail_id desc);

-- Which kinds somebody has by mail, where it is not as usual.
create table notice_preferences (
    org_id  uuid not null references organizations (org_id) on delete cascade,
    user_id uuid not null,
    kind    text not null check (kind in ('request', 'answer', 'grant', 'limit', 'forecast', 'anomaly', 'unused')),
    by_mail boolean not null,
    primary key (org_id, user_id, kind),
    foreign key (org_id, user_id) references users (org_id, user_id)
);

-- From which sum on a request needs several who agree. No row: one always suffices.
create table approval_rules (
    org_id    uuid not null references organizations (org_id) on delete cascade,
    -- Nano-dollars that a request may cost in all, to its last day.
    above     bigint not null check (above >= 0),
    approvers smallint not null check (approvers between 2 and 5),
    version   bigint not null default 1,
    primary key (org_id)
);

alter table requests
    -- How many have to agree: settled when somebody asks.
    add column approvers smallint not null default 1 check (approvers between 1 and 5),
    -- How many had when it was approved.
    add column approvals smallint not null default 0 check (approvals >= 0),
    -- Counts up when somebody agrees to other terms than those before: then everybody agrees anew.
    add column round     smallint not null default 1;
update requests set approvals = 1 where state = 'approved';
alter table requests
    -- What a store function could forget: no grant before enough have agreed.
    add constraint requests_enough check (state <> 'approved' or approvals >= approvers),
    add constraint requests_requester_key unique (org_id, request_id, requester_id);

-- Who agreed to what.
create table request_approvals (
    org_id       uuid not null references organizations (org_id) on delete cascade,
    request_id   uuid not null,
    round        smallint not null,
    -- Each person counts once.
    user_id      uuid not null,
    -- Beside them, so that nobody can be both.
    requester_id uuid not null,
    amount       bigint not null check (amount > 0),
    ends_on      date not null,
    answer       text not null default '',
    approved_at  timestamptz not null,
    primary key (org_id, request_id, round, user_id),
    foreign key (org_id, request_id, requester_id) references requests (org_id, request_id, requester_id),
    foreign key (org_id, user_id) references users (org_id, user_id),
    constraint request_approvals_not_by_oneself check (user_id <> requester_id)
);
