//! What is at work now: runs, their turns, and what wakes the scheduler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::{ConnectionId, SyncId, SyncRunId};
use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Progress;
use super::progress::Meter;
use crate::outgoing::ApiRequest;

/// How many runs of one connection read at the same time: they share its rate limit.
const TURNS: usize = 2;

/// How many answers are read at the same time, whoever sent them.
pub(super) const READERS: usize = 4;

/// What is at work now.
#[derive(Debug)]
pub(crate) struct Syncs {
    /// That something is due, can be used, or has ended.
    pub(super) wake: Notify,
    pub(super) stopping: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Held while a run begins or ends, so that what the store says and who is at work agree.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Places for the threads that read answers.
    pub(super) readers: Arc<Semaphore>,
    runs: Mutex<HashMap<SyncRunId, Arc<AtWork>>>,
    turns: Mutex<HashMap<ConnectionId, Arc<Semaphore>>>,
}

impl Default for Syncs {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            changing: tokio::sync::Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            runs: Mutex::default(),
            turns: Mutex::default(),
        }
    }
}

/// One run at work.
#[derive(Debug)]
pub(super) struct AtWork {
    pub(super) sync: SyncId,
    pub(super) connection: ConnectionId,
    pub(super) cancelled: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    meter: Meter,
    waiting: Option<Waiting>,
    /// What ends its job at the other side, while one is under way.
    gives_up: Option<ApiRequest>,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) why: String,
    pub(super) until: Option<Timestamp>,
}

impl Syncs {
    /// Notes that a run is at work; none where it is already.
    pub(super) fn enter(
        &self,
        run: SyncRunId,
        sync: SyncId,
        connection: ConnectionId,
    ) -> Option<Arc<AtWork>> {
        let mut runs = locked(&self.runs);
        if runs.contains_key(&run) {
            return None;
        }
        let state =
            State { meter: Meter::begin(Instant::now(), 0, None), waiting: None, gives_up: None };
        let at_work = Arc::new(AtWork {
            sync,
            connection,
            cancelled: self.stopping.child_token(),
            state: Mutex::new(state),
        });
        runs.insert(run, Arc::clone(&at_work));
        Some(at_work)
    }

    /// Notes that a run is no longer at work, and stops it if it still is.
    pub(super) fn leave(&self, run: SyncRunId) {
        if let Some(at_work) = locked(&self.runs).remove(&run) {
            at_work.cancelled.cancel();
        }
        self.wake.notify_one();
    }

    pub(super) fn run(&self, run: SyncRunId) -> Option<Arc<AtWork>> {
        locked(&self.runs).get(&run).cloned()
    }

    /// The run of a sync that is at work.
    pub(super) fn of_sync(&self, sync: SyncId) -> Option<Arc<AtWork>> {
        locked(&self.runs).values().find(|at_work| at_work.sync == sync).cloned()
    }

    /// The runs of a connection that are at work.
    pub(super) fn of_connection(&self, connection: ConnectionId) -> Vec<SyncRunId> {
        let runs = locked(&self.runs);
        let of = runs.iter().filter(|(_, at_work)| at_work.connection == connection);
        of.map(|(&run, _)| run).collect()
    }

    /// The turns of a connection, one for each run that may read now.
    pub(super) fn turns(&self, connection: ConnectionId) -> Arc<Semaphore> {
        let mut turns = locked(&self.turns);
        let new = || Arc::new(Semaphore::new(TURNS));
        Arc::clone(turns.entry(connection).or_insert_with(new))
    }
}

impl AtWork {
    pub(super) fn begin(&self, records: u64, expected: Option<u64>) {
        locked(&self.state).meter = Meter::begin(Instant::now(), records, expected);
    }

    pub(super) fn requested(&self, requests: u32) {
        locked(&self.state).meter.requested(requests);
    }

    pub(super) fn wrote(&self, records: u64, expected: Option<u64>) {
        locked(&self.state).meter.wrote(Instant::now(), records, expected);
    }

    pub(super) fn wait_for(&self, waiting: Option<Waiting>) {
        locked(&self.state).waiting = waiting;
    }

    pub(super) fn waiting(&self) -> Option<Waiting> {
        locked(&self.state).waiting.clone()
    }

    pub(super) fn gives_up_by(&self, request: Option<ApiRequest>) {
        locked(&self.state).gives_up = request;
    }

    pub(super) fn gives_up(&self) -> Option<ApiRequest> {
        locked(&self.state).gives_up.take()
    }

    pub(super) fn progress(&self) -> Progress {
        let state = locked(&self.state);
        let waiting = state.waiting.clone();
        Progress {
            until: waiting.as_ref().and_then(|waiting| waiting.until),
            why: waiting.map(|waiting| waiting.why),
            ..state.meter.progress(Instant::now())
        }
    }
}

/// Nothing under these locks can be left half done by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
