//! The full-text index over the log: `search.db`, and the thread that follows the log into it.
//!
//! The index holds words and event ids, nothing else, and can be made again from the log at any
//! time. That happens when it is missing, damaged, of another format or of another log. It is
//! always a little behind; whoever searches scans the rest. It gives way to intake: while events
//! come in it works a quarter of the time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::text::Document;
use super::{Error, Result, arrivals, file};

/// The format of the index; another one is made anew.
const FORMAT: u32 = 1;
/// How many events one transaction takes, and how many bytes of bodies it reads for that.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 4 << 20;
/// How long it waits for company after the first new event.
const GATHER: Duration = Duration::from_millis(200);
/// How much longer than it worked it rests, while events come in.
const REST: u32 = 3;
/// How long it waits after a fault, and after many in a row.
const AFTER_FAULT: Duration = Duration::from_millis(100);
const AFTER_FAULTS: Duration = Duration::from_secs(60);

#[derive(Default)]
struct State {
    /// Events that are gone from the log.
    gone: Vec<i64>,
    idle: bool,
    closing: bool,
}

/// What the store and the thread share.
pub(super) struct Shared {
    /// The newest event in the log.
    newest: AtomicI64,
    /// How often the writer committed events: whether intake is at work.
    intake: AtomicU64,
    /// How far the index has come.
    pub(super) progress: tokio::sync::watch::Sender<i64>,
    damaged: std::sync::atomic::AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    pub(super) fn new(newest: i64) -> Self {
        Self {
            newest: AtomicI64::new(newest),
            intake: AtomicU64::new(0),
            progress: tokio::sync::watch::Sender::new(0),
            damaged: false.into(),
            state: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the writer after a commit.
    pub(super) fn follow(&self, newest: i64) {
        if self.newest.swap(newest, Ordering::Relaxed) != newest {
            self.intake.fetch_add(1, Ordering::Relaxed);
            self.wake();
        }
    }

    /// Events were removed from the log. A stop may lose this; what stays in the index then is of
    /// events that are not there, and those are never shown.
    pub(super) fn remove(&self, gone: &[i64]) {
        self.lock().gone.extend(gone);
        self.wake();
    }

    /// A search found the index damaged.
    pub(super) fn damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_all();
    }

    fn wake(&self) {
        let wake = std::mem::take(&mut self.lock().idle);
        if wake {
            self.wake.notify_all();
        }
    }

    /// Sleeps for `span`, or until the end; true then.
    fn sleep(&self, span: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .wake
            .wait_timeout_while(state, span, |state| !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        state.closing
    }
}

/// Where the index is.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("search.db")
}

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>, dir: &Path) -> Result<JoinHandle<()>> {
    let dir = dir.to_owned();
    std::thread::Builder::new()
        .name("store-index".into())
        .spawn(move || run(&shared, &dir))
        .map_err(|error| Error::Io(error.to_string()))
}

/// What went wrong: a damaged index is made anew, and a damaged log is not its fault.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the index: {0}")]
    Index(Error),
    #[error("the log: {0}")]
    Log(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error.into())
    }
}

fn run(shared: &Shared, dir: &Path) {
    let mut rest = AFTER_FAULT;
    loop {
        let before = *shared.progress.borrow();
        let outcome = Indexing::open(shared, dir).and_then(|mut indexing| indexing.follow());
        let Err(fault) = outcome else { return };
        tracing::warn!(%fault, "the search index stopped; it will be tried again");
        if matches!(fault, Fault::Index(Error::Damaged(_))) {
            shared.damaged.store(true, Ordering::Relaxed);
        }
        // One that gets on is not kept waiting for the next fault.
        rest = if *shared.progress.borrow() > before { AFTER_FAULT } else { rest };
        if shared.sleep(rest) {
            return;
        }
        rest = (rest * 2).min(AFTER_FAULTS);
    }
}

/// The index at work.
struct Indexing<'a> {
    shared: &'a Shared,
    log: Connection,
    index: Connection,
    up_to: i64,
}

impl<'a> Indexing<'a> {
    fn open(shared: &'a Shared, dir: &Path) -> std::result::Result<Self, Fault> {
        let log = file::open_reader(dir).map_err(Fault::Log)?;
        let id = log_id(&log).map_err(Fault::Log)?;
        let newest = arrivals::newest(&log).map_err(Fault::Log)?;
        let kept = if shared.damaged.swap(false, Ordering::Relaxed) {
            None
        } else {
            // Whatever is wrong with it, the answer is a new one.
            open_index(dir).and_then(|index| Ok((state(&index)?, index))).ok()
        };
        let kept = kept.filter(|(state, _)| state.log == id && state.up_to <= newest);
        let (index, up_to) = match kept {
            Some((state, index)) => (index, state.up_to),
            None => (make_index(dir, id).map_err(Fault::Index)?, 0),
        };
        shared.progress.send_replace(up_to);
        Ok(Self { shared, log, index, up_to })
    }

    /// Follows the log until the store closes.
    fn follow(&mut self) -> std::result::Result<(), Fault> {
        while self.wait() {
            let began = Instant::now();
            let intake = self.shared.intake.load(Ordering::Relaxed);
            let gone = std::mem::take(&mut self.shared.lock().gone);
            self.step(&gone)?;
            self.shared.progress.send_replace(self.up_to);
            let busy = self.shared.intake.load(Ordering::Relaxed) != intake;
            if busy && self.shared.sleep(began.elapsed() * REST) {
                break;
            }
        }
        Ok(())
    }

    /// Waits until there is something to do; false at the end.
    fn wait(&self) -> bool {
        let mut state = self.shared.lock();
        let mut gathered = false;
        loop {
            if state.closing {
                return false;
            }
            if self.shared.damaged.load(Ordering::Relaxed) {
                return true;
            }
            let behind = self.shared.newest.load(Ordering::Relaxed) - self.up_to;
            let work = behind > 0 || !state.gone.is_empty();
            if work && (gathered || behind >= BATCH as i64) {
                return true;
            }
            state = if work {
                // Not `idle`: whoever wakes it now would only make it gather less.
                gathered = true;
                let wait = self.shared.wake.wait_timeout_while(state, GATHER, |it| !it.closing);
                wait.unwrap_or_else(PoisonError::into_inner).0
            } else {
                state.idle = true;
                self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Takes a batch of the log in, and what is gone out.
    fn step(&mut self, gone: &[i64]) -> std::result::Result<(), Fault> {
        if self.shared.damaged.load(Ordering::Relaxed) {
            return Err(Fault::Index(Error::Damaged("a search found it so".into())));
        }
        let transaction = self.index.unchecked_transaction()?;
        let mut remove = self.index.prepare_cached("delete from words where rowid = ?1")?;
        for id in gone.iter().filter(|&&id| id <= self.up_to) {
            remove.execute([id])?;
        }
        let mut up_to = self.take_in()?;
        if up_to == self.up_to {
            // Nothing is left, though ids were handed out: they are gone already.
            up_to = up_to.max(arrivals::newest(&self.log).map_err(Fault::Log)?);
        }
        self.index.prepare_cached("update state set up_to = ?1")?.execute([up_to])?;
        transaction.commit()?;
        self.up_to = up_to;
        Ok(())
    }

    /// Takes a batch of the log into the index; says which event was the last.
    fn take_in(&self) -> std::result::Result<i64, Fault> {
        let mut add = self.index.prepare_cached(
            "insert into words (rowid, title, type, external_id, headers, body)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let batch = self.read_batch().map_err(Fault::Log)?;
        for document in &batch {
            add.raw_bind_parameter(1, document.id)?;
            for (n, field) in document.fields.iter().enumerate() {
                add.raw_bind_parameter(n + 2, field.as_ref())?;
            }
            add.raw_execute()?;
        }
        Ok(batch.last().map_or(self.up_to, |last| last.id))
    }

    /// What follows in the log. It is read before any of it is indexed, since the WAL cannot start
    /// over while somebody reads, and indexing takes much longer than reading.
    fn read_batch(&self) -> Result<Vec<Document<'static>>> {
        let sql = format!(
            "select {} from {} where events.id > :up_to order by events.id limit :batch",
            Document::COLUMNS,
            Document::FROM
        );
        let mut read = self.log.prepare_cached(&sql)?;
        let mut rows = read.query(named_params! { ":up_to": self.up_to, ":batch": BATCH })?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES {
            let Some(row) = rows.next()? else { break };
            bytes += Document::size(row)?;
            batch.push(Document::read(row)?.into_owned());
        }
        Ok(batch)
    }
}

/// Which log this is.
fn log_id(log: &Connection) -> Result<i64> {
    Ok(log.query_row("select value from marks where name = 'log'", [], |row| row.get(0))?)
}

/// Which log an index is of, and how far it has come.
struct IndexState {
    log: i64,
    up_to: i64,
}

fn state(index: &Connection) -> Result<IndexState> {
    let format: u32 = index.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format != FORMAT {
        return Err(Error::Damaged("it has another format".into()));
    }
    Ok(index.query_row("select log, up_to from state", [], |row| {
        Ok(IndexState { log: row.get(0)?, up_to: row.get(1)? })
    })?)
}

fn open_index(dir: &Path) -> Result<Connection> {
    let path = path(dir);
    if !path.exists() {
        return Err(Error::NotFound);
    }
    file::open_index(&path)
}

/// Makes an empty index for the log `id`, in place of what is there.
fn make_index(dir: &Path, id: i64) -> Result<Connection> {
    let path = path(dir);
    for suffix in ["", "-wal", "-shm"] {
        let old = file::with_suffix(&path, suffix);
        match std::fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file::io(&old, &error));
            }
            _ => {}
        }
    }
    file::make_private(&path)?;
    let index = file::open_index(&path)?;
    index.execute_batch(&format!(
        "begin;
         create virtual table words using fts5 (
             title, type, external_id, headers, body,
             content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
         );
         create table state (log integer not null, up_to integer not null) strict;
         insert into state (log, up_to) values ({id}, 0);
         pragma user_version = {FORMAT};
         commit;"
    ))?;
    tracing::info!("making the search index anew");
    Ok(index)
}

/// The index as a search sees it: one state of it, and how far that has come. None where there is
/// no index that could be used.
pub(super) fn snapshot(dir: &Path) -> Result<Option<(Connection, i64)>> {
    let Ok(index) = open_index(dir) else { return Ok(None) };
    index.execute_batch("begin")?;
    let up_to = index
        .query_row("select up_to from state", [], |row| row.get(0))
        .optional()
        .map_err(Error::from);
    match up_to {
        Ok(Some(up_to)) => Ok(Some((index, up_to))),
        Ok(None) => Ok(None),
        // It is being made at this moment.
        Err(Error::Io(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
