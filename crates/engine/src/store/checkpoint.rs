//! Moving committed pages from the WAL into the database, beside the writer.
//!
//! A thread with a connection of its own does it, so that intake does not wait for it. A writer that
//! never rests would outrun it and the WAL would grow for ever: beyond [`LIMIT`] the writer waits
//! for one pass, which then reaches the end, and SQLite starts over at the WAL's beginning. Where
//! nothing has been written for [`IDLE`], the WAL is emptied, so that it takes no room on the disk.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::{Error, Result, file};

/// Pages in the WAL at which a pass begins: 16 MiB. More passes would write the same pages more
/// often; fewer would make each longer.
const BEGIN: u32 = 4_096;
/// Pages beyond which the writer waits for a pass: 64 MiB.
const LIMIT: u32 = 16_384;
/// How much it may grow further where a pass did not help, because a reader is at an old state.
const MORE: u32 = 4_096;
/// For how long nothing is written before the WAL is emptied.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// How long a pass that the writer waits for waits for such readers.
const READERS: Duration = Duration::from_millis(250);

#[derive(Default)]
struct State {
    wanted: bool,
    /// The writer waits for it.
    waited_for: bool,
    at_work: bool,
    /// How many passes have ended.
    passes: u64,
    closing: bool,
}

/// What the writer and the thread share.
#[derive(Default)]
pub(super) struct Shared {
    /// Pages in the WAL after the last commit, as SQLite told.
    pages: AtomicU32,
    /// How many there may be before the writer waits.
    limit: AtomicU32,
    /// How often something was committed.
    commits: AtomicU64,
    /// The thread sleeps until it is told of a commit.
    asleep: AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
    done: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has SQLite tell about the WAL after each commit of `db`, in place of its own checkpoints.
    pub(super) fn listen(self: &Arc<Self>, db: &mut Connection) -> Result<()> {
        let shared = Arc::clone(self);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            shared.pages.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(())
    }

    /// Called by the writer between groups.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            let _state = self.lock();
            self.wake.notify_one();
        }
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < BEGIN {
            self.limit.store(LIMIT, Ordering::Relaxed);
            return;
        }
        let mut state = self.lock();
        if !state.at_work && !state.wanted {
            state.wanted = true;
            self.wake.notify_one();
        }
        if pages < self.limit.load(Ordering::Relaxed) || state.closing {
            return;
        }
        // One pass that begins now, while nothing is written, reaches the end.
        let until = state.passes + if state.at_work { 2 } else { 1 };
        while state.passes < until && !state.closing {
            if !state.at_work && !state.waited_for {
                (state.wanted, state.waited_for) = (true, true);
                self.wake.notify_one();
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.limit.store(pages.saturating_add(MORE), Ordering::Relaxed);
    }

    /// Waits for something to do. Where nothing was written for `idle`, and what was has not been
    /// emptied, it says after how many commits that is. `emptied` is after how many it last was.
    fn rest<'a>(
        &self,
        state: MutexGuard<'a, State>,
        emptied: u64,
        idle: Duration,
    ) -> (MutexGuard<'a, State>, Option<u64>) {
        // Before the look at the commits, so that one in between wakes us.
        self.asleep.store(true, Ordering::SeqCst);
        let seen = self.commits.load(Ordering::SeqCst);
        if seen == emptied {
            let woken = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            return (woken, None);
        }
        self.asleep.store(false, Ordering::SeqCst);
        let waited = self.wake.wait_timeout(state, idle);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        let rested = waited.timed_out() && !state.wanted && !state.closing;
        let same = self.commits.load(Ordering::SeqCst) == seen;
        (state, (rested && same).then_some(seen))
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
        self.done.notify_all();
    }
}

/// Starts the thread; `idle` is [`IDLE`] except in tests.
pub(super) fn start(shared: Arc<Shared>, dir: &Path, idle: Duration) -> Result<JoinHandle<()>> {
    let db = file::open_checkpointer(dir)?;
    db.busy_timeout(READERS)?;
    shared.limit.store(LIMIT, Ordering::Relaxed);
    std::thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || run(&shared, &db, idle))
        .map_err(|error| Error::Io(error.to_string()))
}

fn run(shared: &Shared, db: &Connection, idle: Duration) {
    // After how many commits the WAL was last emptied; never, at first: an earlier start may have
    // left something.
    let mut emptied = u64::MAX;
    let mut state = shared.lock();
    while !state.closing {
        let mut seen = None;
        if !state.wanted {
            (state, seen) = shared.rest(state, emptied, idle);
            if seen.is_none() {
                continue;
            }
        }
        // While the writer waits there is time for the readers of old states too.
        let mode = match (seen, state.waited_for) {
            (Some(_), _) => CheckpointMode::TRUNCATE,
            (None, true) => CheckpointMode::RESTART,
            (None, false) => CheckpointMode::PASSIVE,
        };
        (state.wanted, state.waited_for, state.at_work) = (false, false, true);
        drop(state);
        let outcome = db.wal_checkpoint_v2(Some(MAIN_DB), mode);
        match &outcome {
            // A reader of an old state was in the way: the next rest ends with another try.
            Ok(_) => emptied = seen.unwrap_or(emptied),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            // A full disk, most likely. The WAL holds all of it, and the next pass tries again.
            Err(error) => tracing::warn!(%error, "the database's log could not be taken in"),
        }
        state = shared.lock();
        state.at_work = false;
        state.passes += 1;
        shared.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_nothing_is_written_to_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = file::open_writer(dir.path()).unwrap();
        let shared = Arc::new(Shared::default());
        shared.listen(&mut db).unwrap();
        db.execute_batch("create table a (b); insert into a values (zeroblob(100000));").unwrap();
        shared.committed();
        let log = dir.path().join("patchbay.db-wal");
        assert!(log.metadata().unwrap().len() > 100_000);

        let thread = start(Arc::clone(&shared), dir.path(), Duration::from_millis(10)).unwrap();
        let state = shared.lock();
        let (state, _) = shared
            .done
            .wait_timeout_while(state, Duration::from_secs(30), |state| state.passes == 0)
            .unwrap();
        drop(state);

        assert_eq!(log.metadata().unwrap().len(), 0);
        db.execute("insert into a values (1)", []).unwrap();
        assert!(log.metadata().unwrap().len() > 0);
        shared.close();
        thread.join().unwrap();
    }
}
