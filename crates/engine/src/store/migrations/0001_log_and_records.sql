-- Times are milliseconds since 1970, UTC. Ids are never given twice: `autoincrement` where a table
-- hands them out, `marks` where the writer does. Nested values that nothing searches are JSON.

-- Numbers that must survive the rows they came from.
create table marks (
    -- `event`: the newest event id that was handed out. `place`: the newest place in the order of
    -- changes of records. `log`: a random number that says which log this is, so that an index of
    -- another one is not taken for its own.
    name  text primary key,
    value integer not null
) strict, without rowid;

create table settings (
    name  text primary key,
    value text not null
) strict, without rowid;

create table connections (
    id               integer primary key autoincrement,
    connector        text not null,
    name             text not null,
    way              integer not null,
    settings         text not null,
    sandbox          integer not null,
    state            text not null,
    account          text,
    checked_at       integer,
    created_at       integer not null,
    -- Which generation of its secrets in the vault is in force. The vault has the values.
    secrets          integer,
    token_expires_at integer,
    -- Since when a request that spends its refresh token is under way and unanswered.
    rotating_since   integer
) strict;

create table inboxes (
    id           integer primary key autoincrement,
    name         text not null,
    connector    text not null,
    connection   integer references connections (id) on delete set null,
    settings     text not null,
    -- The last part of its address: 128 random bits.
    key          text not null unique,
    sandbox      integer not null,
    registration text not null,
    created_at   integer not null,
    secrets      integer,
    -- 1 while its events are being deleted, in steps; for everybody else it is gone already.
    doomed       integer not null default 0
) strict;

create index inboxes_by_connection on inboxes (connection);

-- What each inbox calls things. Events carry the number: it is shorter, and one index on it serves
-- "this inbox and this type" in the order of the log.
create table event_types (
    id    integer primary key,
    inbox integer not null,
    name  text not null,
    unique (inbox, name)
) strict;

create index event_types_by_name on event_types (name);

-- The log. Rows are added, and dropped when they are old; they never change.
create table events (
    -- Handed out inside the write transaction: order and nothing else. Shown as `evt_…`.
    id          integer primary key,
    inbox       integer not null,
    type        integer not null,
    received_at integer not null,
    -- 0 push, 1 recovered, 2 sync, 3 hand.
    origin      integer not null,
    -- 0 verified, 1 unsigned, 2 held, 3 recovered.
    proof       integer not null,
    sandbox     integer not null,
    connection  integer,
    -- Its key in `arrivals`, where it has one.
    key         blob,
    external_id text,
    title       text not null,
    -- Method, query, headers, what was checked, what it speaks of.
    detail      text not null,
    -- The bytes as received. A signature can be checked again, whatever the content type.
    body        blob not null
) strict;

-- The id is the last part of each of these by itself.
create index events_by_inbox on events (inbox);
create index events_by_type on events (type);
create index events_by_time on events (received_at, inbox);

-- Who has been here. A key outlives its event, so that what retention removed is not taken for new.
create table arrivals (
    inbox    integer not null,
    -- 16 bytes of a digest of the sender's own id for the message: the same on every retry.
    key      blob not null,
    event    integer not null,
    first_at integer not null,
    last_at  integer not null,
    times    integer not null,
    primary key (inbox, key)
) strict, without rowid;

create table refusals (
    id         integer primary key autoincrement,
    inbox      integer,
    at         integer not null,
    address    text,
    method     text not null,
    path       text not null,
    reason     text not null,
    message    text not null,
    headers    text not null,
    body_start blob not null,
    size_bytes integer not null,
    times      integer not null default 1,
    -- Which minute since 1970, for unknown paths alone: an address has one row in each.
    minute     integer
) strict;

create index refusals_by_inbox on refusals (inbox);
create index refusals_by_time on refusals (at);
create unique index refusals_by_minute on refusals (minute, coalesce(address, ''))
    where minute is not null;

create table syncs (
    id          integer primary key autoincrement,
    connection  integer not null references connections (id) on delete cascade,
    stream      text not null,
    schedule    text,
    paused      integer not null,
    sandbox     integer not null,
    created_at  integer not null,
    next_run_at integer,
    newest_at   integer,
    -- Where the next run goes on: committed with the records before it, or not at all.
    cursor      text,
    unique (connection, stream)
) strict;

create index syncs_by_due on syncs (next_run_at) where next_run_at is not null and not paused;

create table sync_runs (
    id         integer primary key autoincrement,
    sync       integer not null references syncs (id) on delete cascade,
    trigger    text not null,
    extent     text not null,
    started_at integer not null,
    state      text not null,
    ended_at   integer,
    error      text,
    pages      integer not null default 0,
    records    integer not null default 0,
    inserted   integer not null default 0,
    changed    integer not null default 0,
    unchanged  integer not null default 0,
    deleted    integer not null default 0,
    expected   integer
) strict;

create index sync_runs_by_sync on sync_runs (sync);
-- A sync has one run at work at most, whoever begins one.
create unique index sync_runs_at_work on sync_runs (sync) where state = 'running';

-- Streams that have records. One whose connection is null is being deleted, in steps.
create table streams (
    id         integer primary key autoincrement,
    connection integer references connections (id) on delete set null,
    name       text not null,
    unique (connection, name)
) strict;

create table records (
    -- The place at which it was first seen.
    id            integer primary key,
    stream        integer not null,
    key           text not null,
    -- Its place in the order of changes; a change moves it to the end.
    place         integer not null,
    deleted       integer not null,
    first_seen_at integer not null,
    changed_at    integer not null,
    -- 16 bytes of a digest of version and data: whether it differs from what is stored.
    digest        blob not null,
    version       text,
    data          text not null,
    unique (stream, key)
) strict;

create index records_by_place on records (stream, place, deleted);

create table tunnels (
    id         integer primary key autoincrement,
    kind       text not null,
    name       text not null,
    settings   text not null,
    switched   integer not null,
    created_at integer not null,
    secrets    integer
) strict;
