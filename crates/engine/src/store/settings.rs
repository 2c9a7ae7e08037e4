//! Settings of the installation: a name and a JSON text each.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::Result;

pub(super) fn get(db: &Connection, name: &str) -> Result<Option<String>> {
    Ok(db
        .prepare_cached("select value from settings where name = :name")?
        .query_row(named_params! { ":name": name }, |row| row.get(0))
        .optional()?)
}

pub(super) fn set(db: &Connection, name: &str, value: &str) -> Result<()> {
    db.prepare_cached(
        "insert into settings (name, value) values (:name, :value)
         on conflict (name) do update set value = excluded.value",
    )?
    .execute(named_params! { ":name": name, ":value": value })?;
    Ok(())
}

/// Gives a new log its number, by which an index knows it.
pub(super) fn name_log(db: &Connection) -> Result<()> {
    db.execute(
        "insert into marks (name, value) values ('log', random() & 0x7fffffffffffffff)
         on conflict (name) do nothing",
        [],
    )?;
    Ok(())
}
