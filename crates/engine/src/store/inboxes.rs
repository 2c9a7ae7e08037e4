//! Inboxes: addresses that receive webhooks.
//!
//! Deleting one dooms it, which makes it invisible at once, and then removes what it holds in small
//! steps between other writes. The row goes last, after the secrets, so that a stop in between is
//! taken up again.

use std::collections::BTreeMap;

use domain::id::{ConnectionId, InboxId};
use domain::inbox::{Inbox, NewInbox, Registration};
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::writer::Step;
use super::{Error, Result, changed_one, from_json, millis, one, rows, time, to_json};

const COLUMNS: &str =
    "id, name, connector, connection, settings, key, sandbox, registration, created_at, secrets";
/// Rows that one step deletes.
const STEP: usize = 256;

fn inbox(row: &Row<'_>) -> Result<Inbox> {
    Ok(Inbox {
        id: InboxId::new(row.get(0)?),
        inbox: NewInbox {
            name: row.get(1)?,
            connector: row.get(2)?,
            connection: row.get::<_, Option<i64>>(3)?.map(ConnectionId::new),
            settings: from_json(row.get_ref(4)?.as_str()?)?,
            key: row.get(5)?,
            sandbox: row.get(6)?,
            registration: from_json(row.get_ref(7)?.as_str()?)?,
        },
        created_at: time(row.get(8)?)?,
        secrets: row.get(9)?,
    })
}

pub(super) fn create(db: &Connection, new: &NewInbox, now: Timestamp) -> Result<Inbox> {
    db.prepare_cached(
        "insert into inboxes (name, connector, connection, settings, key, sandbox, registration,
                              created_at)
         values (:name, :connector, :connection, :settings, :key, :sandbox, :registration, :now)",
    )?
    .execute(named_params! {
        ":name": new.name,
        ":connector": new.connector,
        ":connection": new.connection.map(ConnectionId::get),
        ":settings": to_json(&new.settings)?,
        ":key": new.key,
        ":sandbox": new.sandbox,
        ":registration": to_json(&new.registration)?,
        ":now": millis(now),
    })
    .map_err(|error| Error::or_taken(error, &new.name))?;
    get(db, InboxId::new(db.last_insert_rowid()))
}

pub(super) fn all(db: &Connection) -> Result<Vec<Inbox>> {
    let sql = format!("select {COLUMNS} from inboxes where not doomed order by name, id");
    rows(db, &sql, &[], inbox)
}

pub(super) fn get(db: &Connection, id: InboxId) -> Result<Inbox> {
    let sql = format!("select {COLUMNS} from inboxes where id = :id and not doomed");
    one(db, &sql, named_params! { ":id": id.get() }, inbox)
}

pub(super) fn update(
    db: &Connection,
    id: InboxId,
    name: Option<&str>,
    settings: Option<&BTreeMap<String, String>>,
) -> Result<Inbox> {
    changed_one(
        db.prepare_cached(
            "update inboxes
             set name = coalesce(:name, name), settings = coalesce(:settings, settings)
             where id = :id and not doomed",
        )?
        .execute(named_params! {
            ":name": name,
            ":settings": settings.map(to_json).transpose()?,
            ":id": id.get(),
        })?,
    )?;
    get(db, id)
}

pub(super) fn set_secrets(db: &Connection, id: InboxId, generation: u32) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update inboxes set secrets = :generation where id = :id and not doomed",
        )?
        .execute(named_params! { ":generation": generation, ":id": id.get() })?,
    )
}

pub(super) fn set_registration(
    db: &Connection,
    id: InboxId,
    registration: &Registration,
) -> Result<()> {
    changed_one(
        db.prepare_cached(
            "update inboxes set registration = :registration where id = :id and not doomed",
        )?
        .execute(named_params! { ":registration": to_json(registration)?, ":id": id.get() })?,
    )
}

/// Makes an inbox invisible; [`remove`] does the rest. Asked again, it begins again: the first try
/// may have failed half-way. Where its sender knows of it, it keeps its connection until
/// [`let_go`]: nobody else could take the address back.
pub(super) fn doom(db: &Connection, id: InboxId) -> Result<()> {
    let is_known = get(db, id).is_ok_and(|it| it.inbox.registration.external_id().is_some());
    let sql = match is_known {
        true => "update inboxes set doomed = 1 where id = :id",
        false => "update inboxes set doomed = 1, connection = null where id = :id",
    };
    changed_one(db.prepare_cached(sql)?.execute(named_params! { ":id": id.get() })?)
}

/// Those whose deletion has begun, and of which a sender still knows.
pub(super) fn to_withdraw(db: &Connection) -> Result<Vec<Inbox>> {
    let sql = format!(
        "select {COLUMNS} from inboxes where doomed and connection is not null order by id"
    );
    rows(db, &sql, &[], inbox)
}

/// Notes that the sender of a doomed inbox has forgotten it, or never will.
pub(super) fn let_go(db: &Connection, id: InboxId) -> Result<()> {
    db.prepare_cached("update inboxes set connection = null where id = :id and doomed")?
        .execute(named_params! { ":id": id.get() })?;
    Ok(())
}

/// Dooms all of the sandbox.
pub(super) fn doom_sandbox(db: &Connection) -> Result<()> {
    db.prepare_cached(
        "update inboxes set doomed = 1, connection = null where sandbox and not doomed",
    )?
    .execute([])?;
    Ok(())
}

/// Those whose deletion has begun, each with the generation of its secrets.
pub(super) fn doomed(db: &Connection) -> Result<Vec<(InboxId, Option<u32>)>> {
    rows(db, "select id, secrets from inboxes where doomed order by id", &[], |row| {
        Ok((InboxId::new(row.get(0)?), row.get(1)?))
    })
}

/// Notes that the secrets of a doomed inbox are gone from the vault: nothing keeps its row then but
/// what it holds.
pub(super) fn forget_secrets(db: &Connection, id: InboxId) -> Result<()> {
    db.prepare_cached("update inboxes set secrets = null where id = :id and doomed")?
        .execute(named_params! { ":id": id.get() })?;
    Ok(())
}

/// One step of removing what a doomed inbox holds; counts its events. `gone` is told which.
pub(super) fn remove(db: &Connection, id: InboxId, gone: &mut dyn FnMut(i64)) -> Result<Step> {
    let params = named_params! { ":inbox": id.get(), ":step": STEP };
    let mut statement = db.prepare_cached(
        "delete from events where id in (
             select id from events indexed by events_by_inbox where inbox = :inbox limit :step
         ) returning id",
    )?;
    let mut removed = 0;
    let mut ids = statement.query(params)?;
    while let Some(row) = ids.next()? {
        gone(row.get(0)?);
        removed += 1;
    }
    drop(ids);
    if removed > 0 {
        return Ok(Step::More(removed));
    }
    for sql in [
        "delete from arrivals where (inbox, key) in (
             select inbox, key from arrivals where inbox = :inbox limit :step)",
        "delete from refusals where id in (
             select id from refusals where inbox = :inbox limit :step)",
        "delete from event_types where id in (
             select id from event_types where inbox = :inbox limit :step)",
    ] {
        if db.prepare_cached(sql)?.execute(params)? > 0 {
            return Ok(Step::More(0));
        }
    }
    // The row remembers which secrets are still to be removed from the vault, and who still knows
    // its address.
    db.prepare_cached(
        "delete from inboxes
         where id = :inbox and doomed and secrets is null and connection is null",
    )?
    .execute(named_params! { ":inbox": id.get() })?;
    Ok(Step::Done(0))
}
