//! From an older format of the database to the one that this program knows.
//!
//! Migrations are only ever added. Before one runs on a file that has data in it, there must be
//! room, and a copy of the file is kept beside it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Error, Result, file};

/// What to keep free beside the copy, so that the migration itself does not fill the disk.
const MARGIN: u64 = 64 << 20;

/// The formats, in order: the first makes format 1 of an empty file.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_log_and_records.sql"),
    include_str!("migrations/0002_ledger.sql"),
    include_str!("migrations/0003_refusals_of_strangers.sql"),
    include_str!("migrations/0004_check_fault.sql"),
    include_str!("migrations/0005_sockets.sql"),
    include_str!("migrations/0006_where_secrets_may_go.sql"),
    include_str!("migrations/0007_readings.sql"),
    include_str!("migrations/0008_when_sign_ins_end.sql"),
];

/// The newest format in `migrations`.
pub(super) fn newest(migrations: &[&str]) -> u32 {
    u32::try_from(migrations.len()).unwrap_or(u32::MAX)
}

/// Brings `db` to the newest format of `migrations`, each of them whole or not at all.
pub(super) fn migrate(db: &Connection, dir: &Path, migrations: &[&str]) -> Result<()> {
    let known = newest(migrations);
    let found: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    if found > 0 {
        back_up(db, dir, found)?;
    }
    for (format, sql) in (1..).zip(migrations).skip(found as usize) {
        // A new file is made, not migrated.
        if found > 0 {
            tracing::info!(format, "migrating the database");
        }
        let transaction = db.unchecked_transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    if found == 0 {
        tracing::info!(format = known, "made the database");
    }
    // The format is in the header of the file itself from now on, where an older program finds it.
    db.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    Ok(())
}

/// Where the copy of a file in format `found` is kept.
pub(super) fn backup_path(dir: &Path, found: u32) -> PathBuf {
    dir.join(format!("patchbay-before-format-{}.db", found + 1))
}

/// Copies the database as it is. What a former try left is replaced, never the file itself.
fn back_up(db: &Connection, dir: &Path, found: u32) -> Result<()> {
    let bytes = std::fs::metadata(file::path(dir)).map_or(0, |file| file.len());
    let free = fs4::available_space(dir).map_err(|error| file::io(dir, &error))?;
    if free < bytes.saturating_add(MARGIN) {
        return Err(Error::DiskFull);
    }
    let kept = backup_path(dir, found);
    let unfinished = file::with_suffix(&kept, ".part");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(file::io(&unfinished, &error));
        }
        _ => {}
    }
    file::make_private(&unfinished)?;
    let target = unfinished.to_str().ok_or_else(|| {
        Error::Io(format!("{} is not a name that can be copied to", unfinished.display()))
    })?;
    db.execute("vacuum into ?1", [target])?;
    std::fs::File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, &kept))
        .map_err(|error| file::io(&kept, &error))?;
    tracing::info!(format = found, "kept a copy of the database before migrating it");
    Ok(())
}
