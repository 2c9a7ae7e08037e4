//! The store: whole use cases in domain types, over SQLite.
//!
//! A connection, a transaction or a closure over one never leaves this folder; outside it nobody
//! can tell that it is SQLite.

use std::path::Path;

use bytes::Bytes;
use domain::connection::{Connection, ConnectionState, NewConnection};
use domain::event::{Accepted, Arrival, Event, EventFilter, EventRate, EventSummary};
use domain::id::{
    ConnectionId, EventId, InboxId, RecordId, RefusalId, SyncId, SyncRunId, TunnelId,
};
use domain::inbox::{Inbox, NewInbox, Registration};
use domain::page::{Count, Page, Slice};
use domain::record::{NewRecord, Record, RecordFilter};
use domain::refusal::{NewRefusal, Refusal};
use domain::sync::{Counts, Extent, NewSync, RunState, RunTrigger, Sync, SyncRun};
use domain::tunnel::{NewTunnel, Tunnel};
use jiff::{SignedDuration, Timestamp};

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is not there.
    #[error("it is not there")]
    NotFound,
    /// Something with this name is there already.
    #[error("`{0}` is there already")]
    Taken(String),
    /// The disk has no room, or the database reached its limit.
    #[error("the disk is full")]
    DiskFull,
    /// The database was written by a newer Patchbay.
    #[error(
        "the data was written by a newer Patchbay (its format is {found}, this one knows {known})"
    )]
    Newer {
        /// The format on disk.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The file is not a database, or not whole.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Another fault of the disk or of SQLite.
    #[error("the database could not be used: {0}")]
    Io(String),
}

/// The store's own result.
pub type Result<T> = std::result::Result<T, Error>;

/// What a page of a sync run brought, committed at once with the cursor that follows it.
#[derive(Debug, Clone)]
pub struct SyncPage {
    /// The run that read it.
    pub run: SyncRunId,
    /// Its records.
    pub records: Vec<NewRecord>,
    /// Where the run goes on, as JSON.
    pub cursor: String,
    /// The newest time that a record carried.
    pub newest_at: Option<Timestamp>,
    /// How many records the provider says there will be.
    pub expected: Option<u64>,
    /// When it was read.
    pub at: Timestamp,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Store {}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Store {
    /// Opens or makes the database in `dir`, migrating it after a backup.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self> {
        todo!()
    }
    /// Ends the writer after what is queued, and checkpoints.
    pub async fn close(&self) -> Result<()> {
        todo!()
    }

    // -- intake: goes before everything else in the queue
    /// Stores arrivals, all or none; answers after they have reached the disk, in their order.
    pub async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>> {
        todo!()
    }
    /// Notes a refusal, later and only if there is room: nobody waits for it.
    pub fn refuse(&self, refusal: NewRefusal) {
        todo!()
    }
    /// How many writes wait now, and the most that may.
    pub fn queue_depth(&self) -> (usize, usize) {
        todo!()
    }

    // -- events
    /// A part of the log.
    pub async fn events(
        &self,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Slice<EventSummary, EventId>> {
        todo!()
    }
    /// How many events the filter matches; exact at least up to 10,000.
    pub async fn event_count(&self, filter: &EventFilter) -> Result<Count> {
        todo!()
    }
    /// One event.
    pub async fn event(&self, id: EventId) -> Result<Event> {
        todo!()
    }
    /// The bytes of one event.
    pub async fn event_body(&self, id: EventId) -> Result<Bytes> {
        todo!()
    }
    /// Events per inbox in `steps` steps of `step` up to `until`.
    pub async fn event_rates(
        &self,
        until: Timestamp,
        step: SignedDuration,
        steps: usize,
    ) -> Result<Vec<EventRate>> {
        todo!()
    }
    /// The types that occur, most frequent first, at most 200 (of one inbox, if given).
    pub async fn event_types(&self, inbox: Option<InboxId>) -> Result<Vec<String>> {
        todo!()
    }
    /// When each inbox last received something, and how many events it holds.
    pub async fn heard(&self) -> Result<Vec<(InboxId, Timestamp, Count)>> {
        todo!()
    }

    // -- refusals
    /// A part of the refusals.
    pub async fn refusals(
        &self,
        inbox: Option<InboxId>,
        page: Page<RefusalId>,
    ) -> Result<Slice<Refusal, RefusalId>> {
        todo!()
    }
    /// One refusal.
    pub async fn refusal(&self, id: RefusalId) -> Result<Refusal> {
        todo!()
    }
    /// How many since then, unknown paths left out.
    pub async fn refusal_count(&self, since: Timestamp) -> Result<Count> {
        todo!()
    }

    // -- inboxes
    /// Makes one.
    pub async fn create_inbox(&self, inbox: NewInbox, now: Timestamp) -> Result<Inbox> {
        todo!()
    }
    /// All of them, by name.
    pub async fn inboxes(&self) -> Result<Vec<Inbox>> {
        todo!()
    }
    /// One.
    pub async fn inbox(&self, id: InboxId) -> Result<Inbox> {
        todo!()
    }
    /// Renames it.
    pub async fn rename_inbox(&self, id: InboxId, name: String) -> Result<Inbox> {
        todo!()
    }
    /// Points it to a generation of its secrets.
    pub async fn set_inbox_secrets(&self, id: InboxId, generation: u32) -> Result<()> {
        todo!()
    }
    /// Notes whether its sender knows it.
    pub async fn set_inbox_registration(
        &self,
        id: InboxId,
        registration: Registration,
    ) -> Result<()> {
        todo!()
    }
    /// Deletes it with its events, arrivals and refusals; says how many events went.
    pub async fn delete_inbox(&self, id: InboxId) -> Result<u64> {
        todo!()
    }

    // -- connections
    /// Makes one.
    pub async fn create_connection(
        &self,
        connection: NewConnection,
        now: Timestamp,
    ) -> Result<Connection> {
        todo!()
    }
    /// All of them, by name.
    pub async fn connections(&self) -> Result<Vec<Connection>> {
        todo!()
    }
    /// One.
    pub async fn connection(&self, id: ConnectionId) -> Result<Connection> {
        todo!()
    }
    /// Changes its name or settings.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        name: Option<String>,
        settings: Option<std::collections::BTreeMap<String, String>>,
    ) -> Result<Connection> {
        todo!()
    }
    /// Notes what it can do now.
    pub async fn set_connection_state(
        &self,
        id: ConnectionId,
        state: ConnectionState,
    ) -> Result<()> {
        todo!()
    }
    /// Notes that its credentials worked, and for which account.
    pub async fn set_connection_checked(
        &self,
        id: ConnectionId,
        account: Option<String>,
        at: Timestamp,
    ) -> Result<()> {
        todo!()
    }
    /// Notes that a token rotation begins: written before the request that spends the old token.
    pub async fn begin_rotation(&self, id: ConnectionId, at: Timestamp) -> Result<()> {
        todo!()
    }
    /// Points it to a generation of its secrets, and ends a rotation that was under way.
    pub async fn set_connection_secrets(
        &self,
        id: ConnectionId,
        generation: u32,
        token_expires_at: Option<Timestamp>,
    ) -> Result<()> {
        todo!()
    }
    /// Ends a rotation that came to nothing.
    pub async fn abandon_rotation(&self, id: ConnectionId) -> Result<()> {
        todo!()
    }
    /// Deletes it with its syncs, runs and records. Its inboxes are left, without a connection.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<()> {
        todo!()
    }

    // -- syncs
    /// Makes one.
    pub async fn create_sync(
        &self,
        sync: NewSync,
        next_run_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Sync> {
        todo!()
    }
    /// All of them.
    pub async fn syncs(&self) -> Result<Vec<Sync>> {
        todo!()
    }
    /// One.
    pub async fn sync(&self, id: SyncId) -> Result<Sync> {
        todo!()
    }
    /// Sets its schedule and whether it is paused.
    pub async fn schedule_sync(
        &self,
        id: SyncId,
        sync: NewSync,
        next_run_at: Option<Timestamp>,
    ) -> Result<Sync> {
        todo!()
    }
    /// Syncs that are due at `now`, not paused and not running; `n` at most, longest overdue first.
    pub async fn due_syncs(&self, now: Timestamp, n: usize) -> Result<Vec<Sync>> {
        todo!()
    }
    /// When the next sync is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        todo!()
    }
    /// Its cursor, as JSON.
    pub async fn sync_cursor(&self, id: SyncId) -> Result<Option<String>> {
        todo!()
    }
    /// Deletes it with its runs; its records stay.
    pub async fn delete_sync(&self, id: SyncId) -> Result<()> {
        todo!()
    }

    // -- sync runs
    /// Begins a run, unless one is under way: then that one is the answer. Sets when the sync
    /// runs next. [`Extent::Full`] clears the cursor.
    pub async fn begin_run(
        &self,
        sync: SyncId,
        trigger: RunTrigger,
        extent: Extent,
        next_run_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<SyncRun> {
        todo!()
    }
    /// Writes the records of a page and the cursor that follows it, or neither. Says what it did.
    pub async fn commit_page(&self, page: SyncPage) -> Result<Counts> {
        todo!()
    }
    /// Ends a run.
    pub async fn finish_run(&self, id: SyncRunId, state: RunState) -> Result<()> {
        todo!()
    }
    /// Runs, newest first.
    pub async fn sync_runs(
        &self,
        sync: Option<SyncId>,
        page: Page<SyncRunId>,
    ) -> Result<Slice<SyncRun, SyncRunId>> {
        todo!()
    }
    /// One run.
    pub async fn sync_run(&self, id: SyncRunId) -> Result<SyncRun> {
        todo!()
    }
    /// Runs that a stop left running.
    pub async fn unfinished_runs(&self) -> Result<Vec<SyncRun>> {
        todo!()
    }

    // -- records
    /// Records, last changed first.
    pub async fn records(
        &self,
        filter: &RecordFilter,
        page: Page<RecordId>,
    ) -> Result<Slice<Record, RecordId>> {
        todo!()
    }
    /// How many, not counting deleted ones.
    pub async fn record_count(&self, filter: &RecordFilter) -> Result<Count> {
        todo!()
    }

    // -- tunnels
    /// Makes one.
    pub async fn create_tunnel(&self, tunnel: NewTunnel, now: Timestamp) -> Result<Tunnel> {
        todo!()
    }
    /// All of them.
    pub async fn tunnels(&self) -> Result<Vec<Tunnel>> {
        todo!()
    }
    /// One.
    pub async fn tunnel(&self, id: TunnelId) -> Result<Tunnel> {
        todo!()
    }
    /// Notes whether it should run.
    pub async fn switch_tunnel(&self, id: TunnelId, on: bool) -> Result<()> {
        todo!()
    }
    /// Points it to a generation of its secrets.
    pub async fn set_tunnel_secrets(&self, id: TunnelId, generation: u32) -> Result<()> {
        todo!()
    }
    /// Deletes it.
    pub async fn delete_tunnel(&self, id: TunnelId) -> Result<()> {
        todo!()
    }

    // -- settings of the installation
    /// The value of a setting, as JSON text.
    pub async fn setting(&self, name: &'static str) -> Result<Option<String>> {
        todo!()
    }
    /// Sets it.
    pub async fn set_setting(&self, name: &'static str, value: String) -> Result<()> {
        todo!()
    }

    // -- the file itself
    /// How many bytes the databases take.
    pub async fn size_bytes(&self) -> Result<u64> {
        todo!()
    }
    /// Deletes everything that the sandbox put there: connection, inbox, events, syncs, records.
    pub async fn delete_sandbox(&self) -> Result<()> {
        todo!()
    }
    /// Checks the database's integrity.
    pub async fn check(&self) -> Result<()> {
        todo!()
    }
}
