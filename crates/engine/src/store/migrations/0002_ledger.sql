-- Which secrets of a connection went where. Names and hosts, never a value.
create table ledger (
    id         integer primary key,
    connection integer not null references connections (id) on delete cascade,
    -- The names of the secrets, as a JSON list in order.
    secrets    text not null,
    host       text not null,
    -- What for: `check`, `sync of orders`, `renewal of the sign-in`.
    purpose    text not null,
    -- Milliseconds since 1970. Requests that are alike and follow each other share a row.
    first_at   integer not null,
    last_at    integer not null,
    times      integer not null
) strict;

create index ledger_by_connection on ledger (connection, id);

-- 'test' or 'live', where the connector can tell one from the other.
alter table connections add column mode text;
-- When it last worked again after it had needed its user.
alter table connections add column recovered_at integer;
