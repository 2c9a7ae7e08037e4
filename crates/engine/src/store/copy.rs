//! Copies of the database, and looking at it without owning it.
//!
//! Both work beside a running Patchbay and without one. A copy is one moment of the database: the
//! reading transaction that is open meanwhile keeps it so, whatever is written beside it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};

use super::{Error, Result, file};

/// Pages that are copied between two words of progress: 4 MB.
const STEP: i32 = 1_024;
/// What to keep free beside the copy.
const MARGIN: u64 = 64 << 20;
/// How often, in steps of SQLite's machine, a check looks at the clock.
const LOOK_AT_CLOCK: i32 = 10_000;
/// Where copies go that are given no other name.
const BACKUPS: &str = "backups";

/// How the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How many bytes it takes, its log left aside.
    pub bytes: u64,
    /// Its format.
    pub format: u32,
    /// Whether all of it was read in the time that there was.
    pub checked: bool,
}

/// Reads the database in `dir` and checks it, for `limit` at most. Nothing is written but what
/// SQLite keeps beside a file that is read.
///
/// # Errors
///
/// [`Error::Gone`] where there is none, [`Error::Damaged`] with what is wrong.
pub fn examine(dir: &Path, limit: Duration) -> Result<Health> {
    super::find(dir)?;
    let Some((mut db, format)) = file::look(dir)? else { return Err(gone(dir)) };
    let until = Instant::now() + limit;
    db.progress_handler(LOOK_AT_CLOCK, Some(move || Instant::now() > until))?;
    let checked = match check_pages(&db) {
        Ok(()) => true,
        Err(Checked::OutOfTime) => false,
        Err(Checked::Fault(error)) => return Err(error),
    };
    let bytes = file::path(dir).metadata().map_or(0, |file| file.len());
    Ok(Health { bytes, format, checked })
}

/// What kept a check from its end.
enum Checked {
    OutOfTime,
    Fault(Error),
}

fn check_pages(db: &Connection) -> std::result::Result<(), Checked> {
    let found = db.query_row("pragma quick_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(Checked::Fault(Error::Damaged(found))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Err(Checked::OutOfTime)
        }
        Err(error) => Err(Checked::Fault(error.into())),
    }
}

fn gone(dir: &Path) -> Error {
    Error::Gone { path: file::path(dir), problem: "is empty" }
}

/// The copies that there are of the database in `dir`, the newest first: those of [`back_up`]
/// without a name, and those that a migration left.
pub fn copies(dir: &Path) -> Vec<PathBuf> {
    let backups = files(&dir.join(BACKUPS)).filter(|path| is_copy(path, ""));
    let mut copies: Vec<_> = backups
        .chain(files(dir).filter(|path| is_copy(path, "patchbay-before-format-")))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    copies.sort_by(|a, b| b.cmp(a));
    copies.into_iter().map(|(_, path)| path).collect()
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_copy(path: &Path, beginning: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(beginning) && name.ends_with(".db")
}

/// Copies the database in `dir` to `to`, or into its folder `backups` under a name with `now` in it
/// where no place is given. `tell` hears of how many bytes how many are copied. Says where it is.
///
/// What is there already is never written over, and what is not whole never has the copy's name.
/// Secrets are not in it: they are in the vault.
///
/// # Errors
///
/// [`Error::Taken`] where something is there already, [`Error::DiskFull`] where there is no room,
/// [`Error::Damaged`] where the database, or the copy, is not whole.
pub fn back_up(
    dir: &Path,
    to: Option<&Path>,
    now: jiff::Timestamp,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<PathBuf> {
    super::find(dir)?;
    let Some((source, _)) = file::look(dir)? else { return Err(gone(dir)) };
    let to = match to {
        Some(to) => std::path::absolute(to).map_err(|error| file::io(to, &error))?,
        None => unnamed(dir, now)?,
    };
    if to.symlink_metadata().is_ok() {
        return Err(Error::Taken(to.display().to_string()));
    }
    let folder = to.parent().unwrap_or(dir);
    let bytes = file::path(dir).metadata().map_or(0, |file| file.len());
    let free = fs4::available_space(folder).map_err(|error| file::io(folder, &error))?;
    if free < bytes.saturating_add(MARGIN) {
        return Err(Error::DiskFull);
    }

    let unfinished = file::with_suffix(&to, ".part");
    let written = copy(&source, &unfinished, tell).and_then(|()| keep(&unfinished, &to));
    if written.is_err() {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _ = std::fs::remove_file(file::with_suffix(&unfinished, suffix));
        }
    }
    written.map(|()| to)
}

/// A place that says when: `backups/patchbay-20260512T140522Z.db`.
fn unnamed(dir: &Path, now: jiff::Timestamp) -> Result<PathBuf> {
    let folder = dir.join(BACKUPS);
    crate::data_dir::private::make_folder(&folder).map_err(|error| file::io(&folder, &error))?;
    Ok(folder.join(format!("patchbay-{}.db", now.strftime("%Y%m%dT%H%M%SZ"))))
}

fn copy(source: &Connection, to: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<()> {
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(file::io(to, &error));
        }
        _ => {}
    }
    file::make_private(to)?;
    // The moment that is copied: without it each write beside would begin the copy anew.
    source.execute_batch("begin")?;
    source.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    let page: u64 = source.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let mut target = Connection::open(to)?;
    {
        let backup = Backup::new(source, &mut target)?;
        loop {
            let step = backup.step(STEP)?;
            let progress = backup.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or_default() * page;
            tell(pages(progress.pagecount - progress.remaining), pages(progress.pagecount));
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // Only a checkpoint at its very end holds such a lock.
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    // A copy that cannot be read is none.
    file::quick_check(&target)?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Gives the copy its name once it is on the disk.
fn keep(unfinished: &Path, to: &Path) -> Result<()> {
    std::fs::File::options()
        .write(true)
        .open(unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(unfinished, to))
        .map_err(|error| file::io(to, &error))
}
