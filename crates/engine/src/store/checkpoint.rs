//! Moving committed pages from the WAL into the database, beside the writer.
//!
//! A thread with a connection of its own does it, so that intake does not wait for it. A writer that
//! never rests would outrun it and the WAL would grow for ever: beyond [`LIMIT`] the writer waits
//! for one pass, which then reaches the end, and SQLite starts over at the WAL's beginning.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
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

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
        self.done.notify_all();
    }
}

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>, dir: &Path) -> Result<JoinHandle<()>> {
    let db = file::open_checkpointer(dir)?;
    db.busy_timeout(READERS)?;
    shared.limit.store(LIMIT, Ordering::Relaxed);
    std::thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || run(&shared, &db))
        .map_err(|error| Error::Io(error.to_string()))
}

fn run(shared: &Shared, db: &Connection) {
    let mut state = shared.lock();
    while !state.closing {
        if !state.wanted {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        // While the writer waits there is time for the readers of old states too.
        let mode = match state.waited_for {
            true => CheckpointMode::RESTART,
            false => CheckpointMode::PASSIVE,
        };
        (state.wanted, state.waited_for, state.at_work) = (false, false, true);
        drop(state);
        let outcome = db.wal_checkpoint_v2(Some(MAIN_DB), mode);
        if let Err(error) = outcome
            && error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy)
        {
            // A full disk, most likely. The WAL holds all of it, and the next pass tries again.
            tracing::warn!(%error, "the database's log could not be taken in");
        }
        state = shared.lock();
        state.at_work = false;
        state.passes += 1;
        shared.done.notify_all();
    }
}
