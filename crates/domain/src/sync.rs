//! Syncs: streams of a connection that are kept up to date, and their runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{ConnectionId, SyncId, SyncRunId};

/// When a sync runs by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Every so often, counted from the start of the last run: `{"every": "5m"}`.
    Every {
        /// 10 seconds or more, as `90s`, `5m`, `2h`, `1d`.
        every: String,
    },
    /// By the clock of a place: `{"cron": "0 6 * * *", "zone": "Europe/London"}`.
    Cron {
        /// Five fields, as cron writes them.
        cron: String,
        /// An IANA time zone.
        zone: String,
    },
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunTrigger {
    /// Its schedule.
    Schedule,
    /// The user.
    Hand,
    /// It is the first, begun as soon as the connection was ready.
    First,
}

/// How far a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// From the cursor on: what changed since.
    Changes,
    /// Everything again; the cursor starts anew.
    Full,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// At work, or stopped by a crash and about to go on.
    Running,
    /// Read to the end.
    Done {
        /// When.
        at: Timestamp,
    },
    /// Stopped by a fault; what it had committed stays.
    Failed {
        /// When.
        at: Timestamp,
        /// What happened.
        error: RunError,
    },
    /// Stopped by the user; what it had committed stays.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

/// Why a run failed, for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// For programs: `rate_limited`, `sign_in`, `bad_answer`, `unreachable`, …
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What a run, or a page of it, did to the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Pages read.
    pub pages: u64,
    /// Records on them.
    pub records: u64,
    /// Those that were new.
    pub inserted: u64,
    /// Those that differed from what was stored.
    pub changed: u64,
    /// Those that did not.
    pub unchanged: u64,
    /// Those that the provider says are gone.
    pub deleted: u64,
}

/// A run as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRun {
    /// Its id.
    pub id: SyncRunId,
    /// Of which sync.
    pub sync: SyncId,
    /// Who asked for it.
    pub trigger: RunTrigger,
    /// How far it reads.
    pub extent: Extent,
    /// Since when.
    pub started_at: Timestamp,
    /// Where it is.
    pub state: RunState,
    /// What it has done so far.
    pub counts: Counts,
    /// How many records the provider says there will be.
    pub expected: Option<u64>,
    /// What it has to say beside that, in sentences: that nothing has changed, or why everything
    /// is read anew.
    pub note: Option<String>,
}

/// A sync that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSync {
    /// Whose.
    pub connection: ConnectionId,
    /// Which stream.
    pub stream: String,
    /// When it runs by itself; by hand only where there is none.
    pub schedule: Option<Schedule>,
    /// Whether the user stopped its schedule for now.
    pub paused: bool,
    /// Whether it belongs to the sandbox.
    pub sandbox: bool,
}

/// A sync as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Its id.
    pub id: SyncId,
    /// What was asked for.
    pub sync: NewSync,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it runs next.
    pub next_run_at: Option<Timestamp>,
    /// The newest time that a record carried, as far as the stream says: how fresh the data is.
    pub newest_at: Option<Timestamp>,
}
