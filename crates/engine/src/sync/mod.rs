//! Syncs: keeping streams of a connection up to date, by schedule and by hand.

use domain::connection::Connection;
use domain::id::RecordId;
use domain::id::{ConnectionId, SyncId, SyncRunId};
use domain::page::{Count, Page, Slice};
use domain::record::{Record, RecordFilter};
use domain::sync::{Extent, Schedule, Sync, SyncRun};
use jiff::Timestamp;

use crate::{Engine, store};

/// Why something was not done with a sync.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connector has no such stream.
    #[error("`{stream}` is not a stream of {connector}; it has {}", .known.join(", "))]
    Stream {
        /// What was asked for.
        stream: String,
        /// Of which connector.
        connector: String,
        /// What it has.
        known: Vec<String>,
    },
    /// The schedule cannot be read.
    #[error("the schedule cannot be read: {0}")]
    Schedule(String),
    /// There is no such connector, or it cannot be read.
    #[error("`{0}` is not a connector that can be read")]
    Connector(String),
    /// The run has ended already.
    #[error("the run has ended already")]
    Ended,
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What is asked for with a new sync.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// Whose.
    pub connection: ConnectionId,
    /// Which stream.
    pub stream: String,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
}

/// What a sync does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncState {
    /// Nothing, until it is due.
    Idle,
    /// It runs.
    Running,
    /// It would run but must wait, until a time or for a person.
    Waiting {
        /// For what, in a sentence.
        why: String,
        /// Until when, where that is known.
        until: Option<Timestamp>,
    },
    /// Its last run failed.
    Failed,
    /// The user stopped its schedule.
    Paused,
}

/// How a run is getting on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Records a second, over the last seconds.
    pub records_per_second: f64,
    /// How many seconds it will still take, where the number of records is known.
    pub seconds_left: Option<u64>,
    /// How many requests it has made.
    pub requests: u64,
}

/// A sync with what is known of it now.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// As stored.
    pub sync: Sync,
    /// The stream's title.
    pub stream_title: String,
    /// Whose.
    pub connection: Connection,
    /// What it does now.
    pub state: SyncState,
    /// How many records the stream holds.
    pub records: Count,
    /// How old the newest data is, where the stream says.
    pub lag: Option<jiff::SignedDuration>,
    /// The last 30 runs, newest first, the one at work among them.
    pub runs: Vec<SyncRun>,
    /// How the run at work is getting on.
    pub progress: Option<Progress>,
}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Engine {
    /// All syncs, by connection and stream.
    pub async fn syncs(&self) -> Result<Vec<SyncStatus>, Error> {
        todo!()
    }
    /// One.
    pub async fn sync(&self, id: SyncId) -> Result<SyncStatus, Error> {
        todo!()
    }
    /// Makes one. Its first run begins as soon as its connection is ready.
    pub async fn create_sync(&self, request: SyncRequest) -> Result<SyncStatus, Error> {
        todo!()
    }
    /// Changes its schedule, and whether it is paused.
    pub async fn update_sync(
        &self,
        id: SyncId,
        schedule: Option<Option<Schedule>>,
        paused: Option<bool>,
    ) -> Result<SyncStatus, Error> {
        todo!()
    }
    /// Deletes it; its records stay.
    pub async fn delete_sync(&self, id: SyncId) -> Result<(), Error> {
        todo!()
    }
    /// Begins a run now; the one that is under way is the answer where there is one.
    pub async fn run_sync(&self, id: SyncId, extent: Extent) -> Result<SyncRun, Error> {
        todo!()
    }
    /// Stops a run; what it has committed stays.
    pub async fn cancel_run(&self, id: SyncRunId) -> Result<SyncRun, Error> {
        todo!()
    }
    /// Runs, newest first.
    pub async fn sync_runs(
        &self,
        sync: Option<SyncId>,
        page: Page<SyncRunId>,
    ) -> Result<Slice<SyncRun, SyncRunId>, Error> {
        todo!()
    }
    /// One run, and how it is getting on.
    pub async fn sync_run(&self, id: SyncRunId) -> Result<(SyncRun, Option<Progress>), Error> {
        todo!()
    }
    /// Records, last changed first.
    pub async fn records(
        &self,
        filter: &RecordFilter,
        page: Page<RecordId>,
    ) -> Result<Slice<Record, RecordId>, Error> {
        todo!()
    }
    /// How many records match.
    pub async fn record_count(&self, filter: &RecordFilter) -> Result<Count, Error> {
        todo!()
    }
}

/// Starts the scheduler and goes on with runs that a stop left unfinished.
#[expect(clippy::todo, clippy::needless_pass_by_value, reason = "the outline")]
pub(crate) fn start(_engine: Engine) {
    todo!()
}

/// Stops the scheduler; runs at work stop after the page in hand.
#[expect(clippy::todo, clippy::unused_async, reason = "the outline")]
pub(crate) async fn stop(_engine: &Engine) {
    todo!()
}
