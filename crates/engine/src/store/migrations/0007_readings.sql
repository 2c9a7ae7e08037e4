-- What a run has to say beside its sums: that nothing has changed, or why everything is read anew.
alter table sync_runs add column note text;

-- The records that a stream is read for, one by one. Which of them are still to be done is here and
-- not in the cursor, which would grow with the account.
create table sync_parents (
    sync   integer not null references syncs (id) on delete cascade,
    key    text not null,
    -- What the connector's texts speak of, as JSON.
    data   text not null,
    -- The list in which it was last seen: one of an earlier list is gone.
    list   integer not null,
    -- 16 bytes of a digest, as last listed, and as it was when it was last read for.
    listed blob not null,
    read   blob,
    -- Whether it is still to be read for.
    due    integer not null,
    -- Where reading for it goes on, in the middle or the next time.
    cursor text,
    primary key (sync, key)
) strict, without rowid;

-- In which full reading of its stream a record was last seen. Only for streams where what was not
-- seen is gone; a column of `records` would write whole records anew.
create table seen (
    record  integer primary key,
    reading integer not null
) strict;
