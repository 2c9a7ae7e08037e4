//! The ledger: which secrets of a connection went where.

use domain::connection::LedgerEntry;
use domain::id::ConnectionId;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{Result, from_json, millis, rows, time, to_json};

/// How many rows a connection has at most; older ones go.
const MOST: u32 = 2_000;
/// How long a row takes in requests like its first, in milliseconds.
const SHARED: i64 = 60_000;

/// Adds entries, and takes requests back that were counted and were not sent. An entry that is like
/// the newest of its connection, and follows it within a minute of that one's beginning, is counted
/// there.
pub(super) fn note(db: &Connection, sent: &[LedgerEntry], not_sent: &[LedgerEntry]) -> Result<()> {
    for entry in sent {
        if !extend(db, entry)? {
            add(db, entry)?;
        }
    }
    for once in not_sent {
        take_back(db, once)?;
    }
    Ok(())
}

/// Takes one request out of the row in which it was counted, and the row with the last.
fn take_back(db: &Connection, once: &LedgerEntry) -> Result<()> {
    let row: Option<(i64, i64)> = db
        .prepare_cached(
            "select id, times from ledger
             where connection = :connection and secrets = :secrets and host = :host
                 and purpose = :purpose and first_at <= :at
             order by id desc limit 1",
        )?
        .query_row(
            named_params! {
                ":connection": once.connection.get(),
                ":secrets": to_json(&once.secrets)?,
                ":host": once.host,
                ":purpose": once.purpose,
                ":at": millis(once.first_at),
            },
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((id, times)) = row else { return Ok(()) };
    let sql = if times == 1 {
        "delete from ledger where id = :id"
    } else {
        "update ledger set times = times - 1 where id = :id"
    };
    db.prepare_cached(sql)?.execute(named_params! { ":id": id })?;
    Ok(())
}

fn extend(db: &Connection, entry: &LedgerEntry) -> Result<bool> {
    let changed = db
        .prepare_cached(
            "update ledger set last_at = max(last_at, :last_at), times = times + :times
             where id = (
                 select max(id) from ledger
                 where connection = :connection and secrets = :secrets and host = :host
                     and purpose = :purpose
             ) and first_at > :first_at - :shared and first_at <= :last_at",
        )?
        .execute(named_params! {
            ":connection": entry.connection.get(),
            ":secrets": to_json(&entry.secrets)?,
            ":host": entry.host,
            ":purpose": entry.purpose,
            ":first_at": millis(entry.first_at),
            ":last_at": millis(entry.last_at),
            ":times": entry.times,
            ":shared": SHARED,
        })?;
    Ok(changed > 0)
}

fn add(db: &Connection, entry: &LedgerEntry) -> Result<()> {
    db.prepare_cached(
        "insert into ledger (connection, secrets, host, purpose, first_at, last_at, times)
         select id, :secrets, :host, :purpose, :first_at, :last_at, :times
         from connections where id = :connection",
    )?
    .execute(named_params! {
        ":connection": entry.connection.get(),
        ":secrets": to_json(&entry.secrets)?,
        ":host": entry.host,
        ":purpose": entry.purpose,
        ":first_at": millis(entry.first_at),
        ":last_at": millis(entry.last_at),
        ":times": entry.times,
    })?;
    let last_kept: Option<i64> = db
        .prepare_cached(
            "select id from ledger where connection = :connection
             order by id desc limit 1 offset :most",
        )?
        .query_row(named_params! { ":connection": entry.connection.get(), ":most": MOST }, |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(id) = last_kept {
        db.prepare_cached("delete from ledger where connection = :connection and id <= :id")?
            .execute(named_params! { ":connection": entry.connection.get(), ":id": id })?;
    }
    Ok(())
}

pub(super) fn newest(db: &Connection, id: ConnectionId, limit: u32) -> Result<Vec<LedgerEntry>> {
    rows(
        db,
        "select connection, secrets, host, purpose, first_at, last_at, times from ledger
         where connection = :connection order by id desc limit :limit",
        named_params! { ":connection": id.get(), ":limit": limit },
        entry,
    )
}

fn entry(row: &Row<'_>) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        connection: ConnectionId::new(row.get(0)?),
        secrets: from_json(row.get_ref(1)?.as_str()?)?,
        host: row.get(2)?,
        purpose: row.get(3)?,
        first_at: time(row.get(4)?)?,
        last_at: time(row.get(5)?)?,
        times: row.get(6)?,
    })
}
