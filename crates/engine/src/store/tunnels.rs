//! Tunnels as the user set them up; what they do now is not stored.

use domain::id::TunnelId;
use domain::tunnel::{NewTunnel, Tunnel};
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::{Result, changed_one, from_json, millis, rows, time, to_json};

const COLUMNS: &str = "id, kind, name, settings, switched, created_at, secrets";

fn tunnel(row: &Row<'_>) -> Result<Tunnel> {
    Ok(Tunnel {
        id: TunnelId::new(row.get(0)?),
        tunnel: NewTunnel {
            kind: row.get(1)?,
            name: row.get(2)?,
            settings: from_json(row.get_ref(3)?.as_str()?)?,
            on: row.get(4)?,
        },
        created_at: time(row.get(5)?)?,
        secrets: row.get(6)?,
    })
}

pub(super) fn create(db: &Connection, new: &NewTunnel, now: Timestamp) -> Result<Tunnel> {
    db.prepare_cached(
        "insert into tunnels (kind, name, settings, switched, created_at)
         values (:kind, :name, :settings, :switched, :now)",
    )?
    .execute(named_params! {
        ":kind": new.kind,
        ":name": new.name,
        ":settings": to_json(&new.settings)?,
        ":switched": new.on,
        ":now": millis(now),
    })?;
    get(db, TunnelId::new(db.last_insert_rowid()))
}

pub(super) fn all(db: &Connection) -> Result<Vec<Tunnel>> {
    rows(db, &format!("select {COLUMNS} from tunnels order by name, id"), &[], tunnel)
}

pub(super) fn get(db: &Connection, id: TunnelId) -> Result<Tunnel> {
    super::one(
        db,
        &format!("select {COLUMNS} from tunnels where id = :id"),
        named_params! { ":id": id.get() },
        tunnel,
    )
}

pub(super) fn switch(db: &Connection, id: TunnelId, on: bool) -> Result<()> {
    changed_one(
        db.prepare_cached("update tunnels set switched = :on where id = :id")?
            .execute(named_params! { ":on": on, ":id": id.get() })?,
    )
}

pub(super) fn set_secrets(db: &Connection, id: TunnelId, generation: u32) -> Result<()> {
    changed_one(
        db.prepare_cached("update tunnels set secrets = :generation where id = :id")?
            .execute(named_params! { ":generation": generation, ":id": id.get() })?,
    )
}

pub(super) fn delete(db: &Connection, id: TunnelId) -> Result<()> {
    changed_one(
        db.prepare_cached("delete from tunnels where id = :id")?
            .execute(named_params! { ":id": id.get() })?,
    )
}
