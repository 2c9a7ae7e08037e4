//! The database file: where it is, how it is made, and what is looked at before it is touched.
//!
//! A file that this program should not write to (another program's, a newer Patchbay's, one that is
//! not whole) is recognised without writing: first by its header, then over a connection that can
//! only read. Only then is it opened for writing.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::writer::Step;
use super::{Error, Result};

/// `PtBy`: says in the file's header whose it is.
const APPLICATION_ID: i32 = 0x5074_4279;
const PAGE_SIZE: usize = 4_096;
/// The log that SQLite leaves behind when it starts over at its beginning.
const WAL_KEPT: u64 = 64 << 20;
/// How long a connection waits for another one's short locks. Nothing here holds long ones.
const BUSY: Duration = Duration::from_secs(10);
const STATEMENTS: usize = 128;

/// Where the database is.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("patchbay.db")
}

/// Makes an empty file that only its owner may read, where there is none.
pub(super) fn make_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| io(path, &error))?;
    // One that was there already may have been copied with other rights.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|error| io(path, &error))?;
    drop(file);
    Ok(())
}

/// A fault of the file system, told without its path where that is not needed.
pub(super) fn io(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::DiskFull;
    }
    Error::Io(format!("{}: {error}", path.display()))
}

/// Looks at a file that is there, without writing to it. Says which format it has; 0 where it is
/// empty or missing.
///
/// # Errors
///
/// [`Error::Damaged`] where it is not our database, or not whole.
pub(super) fn inspect(dir: &Path) -> Result<u32> {
    let _traces = Traces::watch(&path(dir));
    Ok(look(dir)?.map_or(0, |(_, format)| format))
}

/// As [`inspect`], beside whoever may use it: what SQLite makes beside the file is left there. The
/// connection can only read. None where the file is empty or missing.
pub(super) fn look(dir: &Path) -> Result<Option<(Connection, u32)>> {
    let path = path(dir);
    let Some(header) = header(&path)? else { return Ok(None) };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(Error::Damaged("it is not a database".into()));
    }
    let application = i32::from_be_bytes(four(&header, 68));
    if application != APPLICATION_ID {
        return Err(Error::Damaged("it is another program's database".into()));
    }
    whole(&path, &header)?;
    let db = Connection::open_with_flags(
        &path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    // Reads the whole schema, and so every page of it.
    db.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    let format = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(Some((db, format)))
}

/// Files that a connection makes beside the database though it can only read, and leaves there.
struct Traces(Vec<PathBuf>);

impl Traces {
    fn watch(path: &Path) -> Self {
        let beside = ["-wal", "-shm"].map(|suffix| with_suffix(path, suffix));
        Self(beside.into_iter().filter(|path| !path.exists()).collect())
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for path in &self.0 {
            // They are empty, and the next connection makes them again.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn four(header: &[u8; 100], at: usize) -> [u8; 4] {
    [header[at], header[at + 1], header[at + 2], header[at + 3]]
}

/// The header of the file; none where there is no file, or an empty one.
fn header(path: &Path) -> Result<Option<[u8; 100]>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path, &error)),
    };
    if file.metadata().map_err(|error| io(path, &error))?.len() == 0 {
        return Ok(None);
    }
    let mut header = [0; 100];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(Some(header)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Error::Damaged("its header is cut off".into()))
        }
        Err(error) => Err(io(path, &error)),
    }
}

/// A file that is shorter than it says has been cut off, unless the rest waits in the WAL.
fn whole(path: &Path, header: &[u8; 100]) -> Result<()> {
    let wal = with_suffix(path, "-wal");
    if wal.metadata().is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u64::from(u32::from_be_bytes(four(header, 28)));
    let length = path.metadata().map_err(|error| io(path, &error))?.len();
    if length < page * pages {
        return Err(Error::Damaged("its end is cut off".into()));
    }
    Ok(())
}

/// `path` with something after its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens the database for writing, making it where it is missing.
pub(super) fn open_writer(dir: &Path) -> Result<Connection> {
    let path = path(dir);
    make_private(&path)?;
    let db = Connection::open_with_flags(
        &path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    // Said once, to an empty file: each of these writes, and a connection must open though the disk
    // is full.
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        db.pragma_update(None, "page_size", PAGE_SIZE)?;
        db.pragma_update(None, "auto_vacuum", "incremental")?;
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "full")?;
    // On macOS a plain fsync stops at the drive's cache. Elsewhere these mean nothing.
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Savepoints keep what they may have to undo in memory, not in a file.
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "cache_size", -16_000)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// Opens the database for reading.
pub(super) fn open_reader(dir: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(
        path(dir),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "cache_size", -4_000)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// Opens the connection that moves the WAL into the database.
pub(super) fn open_checkpointer(dir: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(
        path(dir),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(db)
}

/// Opens the search index, which is at `path`. What a power cut takes from it is indexed again.
pub(super) fn open_index(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "cache_size", -8_000)?;
    db.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    Ok(db)
}

/// Pages that stay for what comes next, and pages that one step gives back to the disk.
const SPARE: i64 = 1_024;
const STEP: u32 = 256;

/// One step of making the file smaller, where deletions have left much of it empty.
pub(super) fn give_back(db: &Connection) -> Result<Step> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= SPARE {
        return Ok(Step::Done(0));
    }
    let mut statement = db.prepare_cached(&format!("pragma incremental_vacuum({STEP})"))?;
    // It gives one page back for each row that is asked for.
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(Step::More(0))
}

/// How many bytes the databases and their logs take.
pub(super) fn size(dir: &Path) -> u64 {
    ["patchbay.db", "search.db"]
        .iter()
        .flat_map(|name| ["", "-wal"].map(|suffix| dir.join(format!("{name}{suffix}"))))
        .filter_map(|path| path.metadata().ok())
        .map(|file| file.len())
        .sum()
}

/// Reads all of it.
pub(super) fn check(db: &Connection) -> Result<()> {
    let mut statement = db.prepare("pragma integrity_check(10)")?;
    let found = statement
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if found == ["ok"] { Ok(()) } else { Err(Error::Damaged(found.join("; "))) }
}

/// Reads the pages, without comparing the indexes with their tables: quicker than [`check`].
pub(super) fn quick_check(db: &Connection) -> Result<()> {
    let found: String = db.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Error::Damaged(found)) }
}
