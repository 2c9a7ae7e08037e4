//! Syncs: streams of a connection that are kept up to date.

use domain::id::{ConnectionId, SyncId};
use domain::sync::{NewSync, Sync};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{Error, Result, changed_one, from_json, millis, one, rows, time, to_json};

const COLUMNS: &str = "syncs.id, syncs.connection, syncs.stream, syncs.schedule, syncs.paused,
    syncs.sandbox, syncs.created_at, syncs.next_run_at, syncs.newest_at";

fn sync(row: &Row<'_>) -> Result<Sync> {
    let schedule = row.get_ref(3)?.as_str_or_null()?.map(from_json).transpose()?;
    Ok(Sync {
        id: SyncId::new(row.get(0)?),
        sync: NewSync {
            connection: ConnectionId::new(row.get(1)?),
            stream: row.get(2)?,
            schedule,
            paused: row.get(4)?,
            sandbox: row.get(5)?,
        },
        created_at: time(row.get(6)?)?,
        next_run_at: row.get::<_, Option<i64>>(7)?.map(time).transpose()?,
        newest_at: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
    })
}

pub(super) fn create(
    db: &Connection,
    new: &NewSync,
    next_run_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Sync> {
    db.prepare_cached(
        "insert into syncs (connection, stream, schedule, paused, sandbox, created_at,
                            next_run_at)
         values (:connection, :stream, :schedule, :paused, :sandbox, :now, :next_run_at)",
    )?
    .execute(named_params! {
        ":connection": new.connection.get(),
        ":stream": new.stream,
        ":schedule": new.schedule.as_ref().map(to_json).transpose()?,
        ":paused": new.paused,
        ":sandbox": new.sandbox,
        ":now": millis(now),
        ":next_run_at": next_run_at.map(millis),
    })
    .map_err(|error| Error::or_taken(error, &new.stream))?;
    get(db, SyncId::new(db.last_insert_rowid()))
}

pub(super) fn all(db: &Connection) -> Result<Vec<Sync>> {
    let sql = format!("select {COLUMNS} from syncs order by connection, stream, id");
    rows(db, &sql, &[], sync)
}

pub(super) fn get(db: &Connection, id: SyncId) -> Result<Sync> {
    let sql = format!("select {COLUMNS} from syncs where id = :id");
    one(db, &sql, named_params! { ":id": id.get() }, sync)
}

pub(super) fn schedule(
    db: &Connection,
    id: SyncId,
    new: &NewSync,
    next_run_at: Option<Timestamp>,
) -> Result<Sync> {
    changed_one(
        db.prepare_cached(
            "update syncs
             set schedule = :schedule, paused = :paused, next_run_at = :next_run_at
             where id = :id",
        )?
        .execute(named_params! {
            ":schedule": new.schedule.as_ref().map(to_json).transpose()?,
            ":paused": new.paused,
            ":next_run_at": next_run_at.map(millis),
            ":id": id.get(),
        })?,
    )?;
    get(db, id)
}

/// Sets when a sync runs next.
pub(super) fn set_next_run(db: &Connection, id: SyncId, at: Timestamp) -> Result<()> {
    changed_one(
        db.prepare_cached("update syncs set next_run_at = :next_run_at where id = :id")?
            .execute(named_params! { ":next_run_at": millis(at), ":id": id.get() })?,
    )
}

pub(super) fn cursor(db: &Connection, id: SyncId) -> Result<Option<String>> {
    db.prepare_cached("select cursor from syncs where id = :id")?
        .query_row(named_params! { ":id": id.get() }, |row| row.get(0))
        .optional()?
        .ok_or(Error::NotFound)
}

/// Deletes a sync; the database deletes its runs. Its records stay.
pub(super) fn delete(db: &Connection, id: SyncId) -> Result<()> {
    changed_one(
        db.prepare_cached("delete from syncs where id = :id")?
            .execute(named_params! { ":id": id.get() })?,
    )
}

/// Orphans the stream of a sync that is about to be deleted: its records are removed in steps.
pub(super) fn orphan_stream(db: &Connection, id: SyncId) -> Result<()> {
    db.prepare_cached(
        "update streams set connection = null
         where (connection, name) = (select connection, stream from syncs where id = :id)",
    )?
    .execute(named_params! { ":id": id.get() })?;
    Ok(())
}

/// Deletes those of the sandbox.
pub(super) fn delete_sandbox(db: &Connection) -> Result<()> {
    db.prepare_cached("delete from syncs where sandbox")?.execute([])?;
    Ok(())
}
