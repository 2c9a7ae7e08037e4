//! Connections: accounts of the user at connectors, and which secrets of theirs are in force.

use std::collections::{BTreeMap, BTreeSet};

use domain::connection::{CheckFault, Connection as Stored, ConnectionState, NewConnection};
use domain::connector::Mode;
use domain::id::ConnectionId;
use domain::inbox::Registration;
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::{Result, changed_one, from_json, millis, one, rows, time, to_json};

const COLUMNS: &str = "id, connector, name, coalesce(way_id, way || ''), settings, sandbox, state, account, checked_at,
    created_at, secrets, token_expires_at, rotating_since, mode, recovered_at, fault, fault_at,
    given_to, sign_in_ends_at";

fn connection(row: &Row<'_>) -> Result<Stored> {
    Ok(Stored {
        id: ConnectionId::new(row.get(0)?),
        connection: NewConnection {
            connector: row.get(1)?,
            name: row.get(2)?,
            way: row.get(3)?,
            settings: from_json(row.get_ref(4)?.as_str()?)?,
            sandbox: row.get(5)?,
            state: from_json(row.get_ref(6)?.as_str()?)?,
            given_to: row.get_ref(17)?.as_str_or_null()?.map(from_json).transpose()?,
        },
        account: row.get(7)?,
        checked_at: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
        created_at: time(row.get(9)?)?,
        secrets: row.get(10)?,
        token_expires_at: row.get::<_, Option<i64>>(11)?.map(time).transpose()?,
        sign_in_ends_at: row.get::<_, Option<i64>>(18)?.map(time).transpose()?,
        rotating_since: row.get::<_, Option<i64>>(12)?.map(time).transpose()?,
        mode: match row.get_ref(13)?.as_str_or_null()? {
            Some("test") => Some(Mode::Test),
            Some("live") => Some(Mode::Live),
            _ => None,
        },
        recovered_at: row.get::<_, Option<i64>>(14)?.map(time).transpose()?,
        fault: match (row.get::<_, Option<String>>(15)?, row.get::<_, Option<i64>>(16)?) {
            (Some(why), Some(at)) => Some(CheckFault { why, at: time(at)? }),
            _ => None,
        },
    })
}

pub(super) fn create(db: &Connection, new: &NewConnection, now: Timestamp) -> Result<Stored> {
    db.prepare_cached(
        "insert into connections
             (connector, name, way, way_id, settings, sandbox, state, given_to, created_at)
         values (:connector, :name, 0, :way, :settings, :sandbox, :state, :given_to, :now)",
    )?
    .execute(named_params! {
        ":connector": new.connector,
        ":name": new.name,
        ":way": new.way,
        ":settings": to_json(&new.settings)?,
        ":sandbox": new.sandbox,
        ":state": to_json(&new.state)?,
        ":given_to": new.given_to.as_ref().map(to_json).transpose()?,
        ":now": millis(now),
    })?;
    get(db, ConnectionId::new(db.last_insert_rowid()))
}

pub(super) fn all(db: &Connection) -> Result<Vec<Stored>> {
    rows(db, &format!("select {COLUMNS} from connections order by name, id"), &[], connection)
}

pub(super) fn get(db: &Connection, id: ConnectionId) -> Result<Stored> {
    let sql = format!("select {COLUMNS} from connections where id = :id");
    one(db, &sql, named_params! { ":id": id.get() }, connection)
}

pub(super) fn update(
    db: &Connection,
    id: ConnectionId,
    name: Option<&str>,
    settings: Option<&BTreeMap<String, String>>,
) -> Result<Stored> {
    changed_one(
        db.prepare_cached(
            "update connections
             set name = coalesce(:name, name), settings = coalesce(:settings, settings)
             where id = :id",
        )?
        .execute(named_params! {
            ":name": name,
            ":settings": settings.map(to_json).transpose()?,
            ":id": id.get(),
        })?,
    )?;
    get(db, id)
}

/// Notes what it can do. One that is switched off stays so, whatever was found out meanwhile: that
/// is noted beneath, in the same text, for when it is switched on.
pub(super) fn set_state(db: &Connection, id: ConnectionId, state: &ConnectionState) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update connections
             set state = case
                     when state ->> 'state' <> 'off' and :off
                         then json_object('state', 'off', 'beneath', json(state))
                     when state ->> 'state' <> 'off' then :state
                     when :off then state
                     else json_set(state, '$.beneath', json(:state))
                 end,
                 fault = null, fault_at = null
             where id = :id",
        )?
        .execute(named_params! {
            ":state": to_json(state)?,
            ":off": *state == ConnectionState::Off,
            ":id": id.get(),
        })?,
    )
}

/// Switches one that is off on again; any other stays as it is. Nothing else ends `off`: what
/// finds out that a connection works may have begun before it was switched off.
///
/// An older version noted nothing beneath. There, one that was never used waits for its user.
pub(super) fn switch_on(db: &Connection, id: ConnectionId, now: Timestamp) -> Result<()> {
    let unused =
        ConnectionState::NeedsSignIn { why: "It has not been signed in yet.".into(), since: now };
    changed_one(
        db.prepare_cached(
            "update connections
             set state = case
                 when state ->> 'state' <> 'off' then state
                 when state ->> '$.beneath' is not null then state ->> '$.beneath'
                 when secrets is null and checked_at is null then :unused
                 else :ready
             end
             where id = :id",
        )?
        .execute(named_params! {
            ":unused": to_json(&unused)?,
            ":ready": to_json(&ConnectionState::Ready)?,
            ":id": id.get(),
        })?,
    )
}

/// Notes that it can be used, and when it could again, if it had worked before. One that is
/// switched off stays so.
pub(super) fn set_ready(db: &Connection, id: ConnectionId, at: Timestamp) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update connections
             set recovered_at = case
                     when coalesce(state ->> '$.beneath.state', state ->> 'state') = 'needs_sign_in'
                         and checked_at is not null then :at
                     else recovered_at
                 end,
                 state = case
                     when state ->> 'state' = 'off' then json_set(state, '$.beneath', json(:state))
                     else :state
                 end,
                 fault = null, fault_at = null
             where id = :id",
        )?
        .execute(named_params! {
            ":state": to_json(&ConnectionState::Ready)?,
            ":at": millis(at),
            ":id": id.get(),
        })?,
    )
}

pub(super) fn set_mode(db: &Connection, id: ConnectionId, mode: Option<Mode>) -> Result<()> {
    let mode = mode.map(|mode| match mode {
        Mode::Test => "test",
        Mode::Live => "live",
    });
    changed_one(
        db.prepare_cached("update connections set mode = :mode where id = :id")?
            .execute(named_params! { ":mode": mode, ":id": id.get() })?,
    )
}

pub(super) fn set_checked(
    db: &Connection,
    id: ConnectionId,
    account: Option<&str>,
    at: Timestamp,
) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update connections
             set account = coalesce(:account, account), checked_at = :at,
                 fault = null, fault_at = null
             where id = :id",
        )?
        .execute(named_params! { ":account": account, ":at": millis(at), ":id": id.get() })?,
    )
}

/// Notes what went wrong with a check, until one succeeds.
pub(super) fn set_fault(db: &Connection, id: ConnectionId, fault: &CheckFault) -> Result<()> {
    changed_one(
        db.prepare_cached("update connections set fault = :why, fault_at = :at where id = :id")?
            .execute(named_params! {
                ":why": fault.why,
                ":at": millis(fault.at),
                ":id": id.get(),
            })?,
    )
}

/// A rotation that is under way already keeps its beginning: that one was never answered.
pub(super) fn begin_rotation(db: &Connection, id: ConnectionId, at: Timestamp) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update connections set rotating_since = coalesce(rotating_since, :at) where id = :id",
        )?
        .execute(named_params! { ":at": millis(at), ":id": id.get() })?,
    )
}

pub(super) fn set_secrets(
    db: &Connection,
    id: ConnectionId,
    generation: u32,
    token_expires_at: Option<Timestamp>,
) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update connections
             set secrets = :generation, token_expires_at = :expires_at, rotating_since = null
             where id = :id",
        )?
        .execute(named_params! {
            ":generation": generation,
            ":expires_at": token_expires_at.map(millis),
            ":id": id.get(),
        })?,
    )
}

pub(super) fn set_sign_in_end(
    db: &Connection,
    id: ConnectionId,
    end: Option<Timestamp>,
) -> Result<()> {
    changed_one(
        db.prepare_cached("update connections set sign_in_ends_at = :end where id = :id")?
            .execute(named_params! { ":end": end.map(millis), ":id": id.get() })?,
    )
}

pub(super) fn set_given_to(
    db: &Connection,
    id: ConnectionId,
    hosts: &BTreeSet<String>,
) -> Result<()> {
    changed_one(
        db.prepare_cached("update connections set given_to = :hosts where id = :id")?
            .execute(named_params! { ":hosts": to_json(hosts)?, ":id": id.get() })?,
    )
}

pub(super) fn abandon_rotation(db: &Connection, id: ConnectionId) -> Result<()> {
    changed_one(
        db.prepare_cached("update connections set rotating_since = null where id = :id")?
            .execute(named_params! { ":id": id.get() })?,
    )
}

/// The generation of a connection's secrets in a database that nobody has open, and whether one is
/// being changed.
#[cfg(test)]
pub(crate) fn secrets_and_rotation(
    database: &std::path::Path,
    id: ConnectionId,
) -> (u32, Option<i64>) {
    let database = Connection::open(database).unwrap();
    let sql = "select secrets, rotating_since from connections where id = ?";
    database.query_row(sql, [id.get()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Deletes a connection. The database lets go of its inboxes, deletes its syncs and their runs, and
/// orphans its streams: their records are removed in steps. What receives goes on, and its sender is
/// told by hand from now on.
pub(super) fn delete(db: &Connection, id: ConnectionId) -> Result<()> {
    db.prepare_cached(
        "update inboxes set registration = :by_hand
         where connection = :id and not doomed and registration ->> 'state' <> 'socket'",
    )?
    .execute(named_params! {
        ":by_hand": to_json(&Registration::ByHand)?, ":id": id.get(),
    })?;
    changed_one(
        db.prepare_cached("delete from connections where id = :id")?
            .execute(named_params! { ":id": id.get() })?,
    )
}

/// Deletes those of the sandbox, likewise.
pub(super) fn delete_sandbox(db: &Connection) -> Result<()> {
    db.prepare_cached("delete from connections where sandbox")?.execute([])?;
    Ok(())
}
