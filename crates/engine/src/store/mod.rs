//! The store: whole use cases in domain types, over SQLite.
//!
//! A connection, a transaction or a closure over one never leaves this folder; outside it nobody
//! can tell that it is SQLite.
//!
//! One thread writes, in groups: a write is answered after the commit that holds it has reached
//! the disk, and fails alone when it is a bad one. A few threads read, each the last commit. Dropping
//! a future of this module leaves the write whole or not done at all, never half of it.

mod arrivals;
mod checkpoint;
mod connections;
#[cfg(test)]
pub(crate) use connections::secrets_and_rotation;
mod copy;
mod events;
mod file;
mod inboxes;
mod index;
mod ledger;
mod migrate;
mod paging;
mod readers;
mod readings;
mod records;
mod refusals;
mod runs;
mod search;
mod settings;
mod syncs;
mod text;
mod tunnels;
mod writer;

pub use self::copy::{Health, back_up, copies, examine};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::connection::{CheckFault, Connection, ConnectionState, LedgerEntry, NewConnection};
use domain::connector::Mode;
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was asked for is not there.
    #[error("it is not there")]
    NotFound,
    /// Something with this name is there already.
    #[error("`{0}` is there already")]
    Taken(String),
    /// More waits to be written than may wait. Nothing of this was stored.
    #[error("too much is waiting to be written")]
    Busy,
    /// The sync run has ended, so that it can neither write nor end again.
    #[error("the run has ended already")]
    RunEnded,
    /// The store was closed, or closes.
    #[error("the store is closed")]
    Closed,
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
    /// There is no database where there must be one, or it is empty.
    #[error("{} {problem}, though Patchbay has worked with this data directory", path.display())]
    Gone {
        /// Where it should be.
        path: PathBuf,
        /// `is missing`, `is empty`.
        problem: &'static str,
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

/// Whether there is a database in `dir`, where there must be one.
///
/// # Errors
///
/// [`Error::Gone`] where it is missing or empty.
pub fn find(dir: &Path) -> Result<()> {
    let path = file::path(dir);
    match path.metadata() {
        Ok(file) if file.len() == 0 => Err(Error::Gone { path, problem: "is empty" }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::Gone { path, problem: "is missing" })
        }
        Err(error) => Err(file::io(&path, &error)),
    }
}

/// What a page of a sync run brought, committed at once with the cursor that follows it.
#[derive(Debug, Clone)]
pub struct SyncPage {
    /// The run that read it.
    pub run: SyncRunId,
    /// Its records.
    pub records: Vec<NewRecord>,
    /// Where the run goes on, as JSON; as before where there is none, as after a part of a page.
    pub cursor: Option<String>,
    /// How many pages it is: a part of one is none until the last.
    pub pages: u64,
    /// The newest time that a record carried.
    pub newest_at: Option<Timestamp>,
    /// How many records the provider says there will be.
    pub expected: Option<u64>,
    /// When it was read.
    pub at: Timestamp,
    /// What the run has to say.
    pub note: Option<String>,
    /// The full reading that has seen its records.
    pub reading: Option<i64>,
    /// What it does to the parents for which the stream is read.
    pub parents: Parents,
}

impl SyncPage {
    /// One that holds nothing.
    pub const fn of(run: SyncRunId, at: Timestamp) -> Self {
        Self {
            run,
            records: Vec::new(),
            cursor: None,
            pages: 0,
            newest_at: None,
            expected: None,
            at,
            note: None,
            reading: None,
            parents: Parents::Same,
        }
    }
}

/// What a page does to the parents for which a stream is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parents {
    /// Nothing.
    Same,
    /// They are forgotten: everything is read anew.
    Forgotten,
    /// They were listed.
    Listed {
        /// Which list it is.
        list: i64,
        /// Those on the page.
        page: Vec<ListedParent>,
        /// Whether those that have not changed since they were read for are left out.
        only_changed: bool,
        /// Whether this was the last page of a list of all: others are gone.
        is_all: bool,
    },
    /// Records were read for one.
    At {
        /// Which.
        key: String,
        /// Where reading for it goes on.
        cursor: Option<String>,
        /// How far.
        progress: ParentProgress,
    },
}

/// A parent as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedParent {
    /// Its key.
    pub key: String,
    /// What texts may speak of, as JSON; none where the stream is not read for it, or no longer.
    pub data: Option<String>,
    /// Whether it is the same as before: 16 bytes of SHA-256.
    pub digest: [u8; 16],
}

impl ListedParent {
    /// A record that was listed, of which `data` is kept.
    pub fn of(record: NewRecord, data: Option<String>) -> Self {
        Self { digest: records::digest(&record), key: record.key, data }
    }
}

/// How far reading for a parent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentProgress {
    /// Into its pages.
    Reading,
    /// To its end.
    Done,
    /// It could not be read: it stays due, and the next time it is read from the beginning.
    Refused,
}

/// A parent that is to be read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueParent {
    /// Its key.
    pub key: String,
    /// What texts may speak of, as JSON.
    pub data: String,
    /// Where reading for it goes on.
    pub cursor: Option<String>,
    /// Whether it was read for before.
    pub was_read: bool,
}

/// What a full reading has seen of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether any record.
    pub any: bool,
    /// Whether there are records that are not gone.
    pub any_live: bool,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    writer: Arc<writer::Shared>,
    index: Arc<index::Shared>,
    checkpoints: Arc<checkpoint::Shared>,
    readers: readers::Readers,
    threads: Mutex<Threads>,
}

/// The threads beside the readers, until someone waits for their end.
#[derive(Default)]
struct Threads {
    writer: Option<std::thread::JoinHandle<()>>,
    others: Vec<std::thread::JoinHandle<()>>,
}

impl Drop for Inner {
    /// What is queued is still written; nobody waits for that here.
    fn drop(&mut self) {
        self.writer.close();
        self.readers.close();
        self.index.close();
        self.checkpoints.close();
    }
}

impl Inner {
    /// Waits for the end of all threads, the writer first. Blocks.
    fn end(&self) -> Result<()> {
        let Threads { writer, others } =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let written = writer.map_or(Ok(()), std::thread::JoinHandle::join);
        self.readers.close();
        self.index.close();
        self.checkpoints.close();
        self.readers.join();
        for thread in others {
            let _ = thread.join();
        }
        written.map_err(|_| Error::Closed)?;
        // The last connection: it takes the whole WAL in and removes it.
        file::open_checkpointer(&self.dir)?.query_row(
            "pragma wal_checkpoint(truncate)",
            [],
            |_| Ok(()),
        )?;
        Ok(())
    }
}

impl Store {
    /// Opens or makes the database in `dir`, migrating it after a backup.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self> {
        let known = migrate::newest(migrate::MIGRATIONS);
        let found = file::inspect(dir)?;
        if found > known {
            return Err(Error::Newer { found, known });
        }
        let db = file::open_writer(dir)?;
        migrate::migrate(&db, dir, migrate::MIGRATIONS)?;
        settings::name_log(&db)?;
        while refusals::drop_old(&db, now)? > 0 {}
        let (doomed, orphans) = (inboxes::doomed(&db)?, records::orphans(&db)?);
        let index = Arc::new(index::Shared::new(arrivals::newest(&db)?));
        let checkpoints = Arc::new(checkpoint::Shared::default());
        let readers = readers::Readers::start(dir, &index)?;
        let writer = Arc::new(writer::Shared::new());
        let others = vec![
            checkpoint::start(Arc::clone(&checkpoints), dir, checkpoint::IDLE)?,
            index::start(Arc::clone(&index), dir)?,
        ];
        let followers =
            writer::Followers { index: Arc::clone(&index), checkpoints: Arc::clone(&checkpoints) };
        let thread = start_writer(Arc::clone(&writer), followers, db, dir)?;
        let threads = Mutex::new(Threads { writer: Some(thread), others });
        let inner = Inner { dir: dir.into(), writer, index, checkpoints, readers, threads };
        let store = Self { inner: Arc::new(inner) };
        // What a stop left half deleted.
        for (inbox, _) in doomed {
            store.remove_inbox(inbox)?;
        }
        for stream in orphans {
            store.remove_stream(stream)?;
        }
        Ok(store)
    }
    /// Ends the writer after what is queued, and checkpoints.
    pub async fn close(&self) -> Result<()> {
        self.inner.writer.close();
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.end()).await.map_err(|_| Error::Closed)?
    }

    // -- intake: goes before everything else in the queue
    /// Stores arrivals, all or none; answers after they have reached the disk, in their order.
    pub async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>> {
        let arrivals = arrivals.into_iter().map(arrivals::Prepared::new).collect();
        self.inner.writer.accept(arrivals).await
    }
    /// As [`Store::accept`], but with [`Error::Busy`] when the queue has no room within `patience`:
    /// then nothing was stored, and nothing will be. Once there is room, the commit is waited for.
    pub async fn accept_within(
        &self,
        arrivals: Vec<Arrival>,
        patience: Duration,
    ) -> Result<Vec<Accepted>> {
        let arrivals = arrivals.into_iter().map(arrivals::Prepared::new).collect();
        self.inner.writer.accept_within(arrivals, patience).await
    }
    /// Notes a refusal, later and only if there is room: nobody waits for it.
    pub fn refuse(&self, refusal: NewRefusal) {
        self.inner.writer.refuse(refusal);
    }
    /// Calls `tell` with the inbox of each refusal that has reached the disk, from the writer's
    /// thread: it must not block. Only the first one that is given is called.
    pub fn on_refused(&self, tell: impl Fn(Option<InboxId>) + Send + std::marker::Sync + 'static) {
        let _ = self.inner.writer.refused.set(Box::new(tell));
    }
    /// How many refusals were dropped since the start because too many waited.
    pub fn refusals_dropped(&self) -> u64 {
        self.inner.writer.dropped.load(Ordering::Relaxed)
    }
    /// Whether the last write failed for want of room.
    pub fn is_full(&self) -> bool {
        self.inner.writer.full.load(Ordering::Relaxed)
    }
    /// How much intake waits now and the most that may, in units of a row or 1 KiB of body.
    pub fn queue_depth(&self) -> (usize, usize) {
        (self.inner.writer.depth(), writer::ROOM)
    }

    // -- events
    /// A part of the log.
    pub async fn events(
        &self,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Slice<EventSummary, EventId>> {
        let filter = filter.clone();
        let slow = filter.text.is_some();
        self.read_filtered(slow, move |reader| events::list(reader, &filter, page)).await
    }
    /// How many events the filter matches; exact at least up to 10,000.
    pub async fn event_count(&self, filter: &EventFilter) -> Result<Count> {
        let filter = filter.clone();
        self.read_filtered(true, move |reader| events::count(reader, &filter)).await
    }
    /// One event.
    pub async fn event(&self, id: EventId) -> Result<Event> {
        self.read(move |reader| events::get(reader, id)).await
    }
    /// The bytes of one event.
    pub async fn event_body(&self, id: EventId) -> Result<Bytes> {
        self.read(move |reader| events::body(reader, id)).await
    }
    /// Events per inbox in `steps` steps of `step` up to `until`.
    pub async fn event_rates(
        &self,
        until: Timestamp,
        step: SignedDuration,
        steps: usize,
    ) -> Result<Vec<EventRate>> {
        self.read_filtered(true, move |reader| events::rates(reader, until, step, steps)).await
    }
    /// The types that occur, most frequent first, at most 200 (of one inbox, if given).
    pub async fn event_types(&self, inbox: Option<InboxId>) -> Result<Vec<String>> {
        self.read(move |reader| events::type_names(reader, inbox)).await
    }
    /// When each inbox last received something, and how many events it holds.
    pub async fn heard(&self) -> Result<Vec<(InboxId, Timestamp, Count)>> {
        self.read(events::heard).await
    }

    // -- refusals
    /// A part of the refusals.
    pub async fn refusals(
        &self,
        inbox: Option<InboxId>,
        page: Page<RefusalId>,
    ) -> Result<Slice<Refusal, RefusalId>> {
        self.read(move |reader| refusals::list(&reader.db, inbox, page)).await
    }
    /// One refusal.
    pub async fn refusal(&self, id: RefusalId) -> Result<Refusal> {
        self.read(move |reader| refusals::get(&reader.db, id)).await
    }
    /// How many since then, unknown paths left out.
    pub async fn refusal_count(&self, since: Timestamp) -> Result<Count> {
        self.read(move |reader| refusals::count(&reader.db, since)).await
    }

    // -- inboxes
    /// Makes one.
    pub async fn create_inbox(&self, inbox: NewInbox, now: Timestamp) -> Result<Inbox> {
        self.write(move |db| inboxes::create(db, &inbox, now)).await
    }
    /// All of them, by name.
    pub async fn inboxes(&self) -> Result<Vec<Inbox>> {
        self.read(|reader| inboxes::all(&reader.db)).await
    }
    /// One.
    pub async fn inbox(&self, id: InboxId) -> Result<Inbox> {
        self.read(move |reader| inboxes::get(&reader.db, id)).await
    }
    /// Changes its name, or its settings.
    pub async fn update_inbox(
        &self,
        id: InboxId,
        name: Option<String>,
        settings: Option<BTreeMap<String, String>>,
    ) -> Result<Inbox> {
        self.write(move |db| inboxes::update(db, id, name.as_deref(), settings.as_ref())).await
    }
    /// Points it to a generation of its secrets.
    pub async fn set_inbox_secrets(&self, id: InboxId, generation: u32) -> Result<()> {
        self.write(move |db| inboxes::set_secrets(db, id, generation)).await
    }
    /// Notes whether its sender knows it.
    pub async fn set_inbox_registration(
        &self,
        id: InboxId,
        registration: Registration,
    ) -> Result<()> {
        self.write(move |db| inboxes::set_registration(db, id, &registration)).await
    }
    /// Makes it invisible with all it holds. That it is deleted cannot be taken back from here on;
    /// [`Store::finish_deletion`] makes the room free.
    pub async fn doom_inbox(&self, id: InboxId) -> Result<()> {
        self.write(move |db| inboxes::doom(db, id)).await
    }
    /// Those that are invisible and not gone yet, each with the generation of its secrets.
    pub async fn doomed_inboxes(&self) -> Result<Vec<(InboxId, Option<u32>)>> {
        self.read(|reader| inboxes::doomed(&reader.db)).await
    }
    /// Those that are invisible, and of which a sender still knows.
    pub async fn inboxes_to_withdraw(&self) -> Result<Vec<Inbox>> {
        self.read(|reader| inboxes::to_withdraw(&reader.db)).await
    }
    /// Notes that the sender of a doomed inbox knows it no longer: until then its row stays, as
    /// long as its connection does.
    pub async fn let_inbox_go(&self, id: InboxId) -> Result<()> {
        self.write(move |db| inboxes::let_go(db, id)).await
    }
    /// Notes that the vault no longer holds secrets of a doomed inbox: until then its row stays.
    pub async fn forget_inbox_secrets(&self, id: InboxId) -> Result<()> {
        self.write(move |db| inboxes::forget_secrets(db, id)).await
    }
    /// Removes the events, arrivals and refusals of a doomed inbox, and its row; says how many
    /// events went. May be done again after it failed.
    pub async fn finish_deletion(&self, id: InboxId) -> Result<u64> {
        let events = self.remove_inbox(id)?.wait().await?;
        self.give_back()?;
        Ok(events)
    }
    /// Deletes one that has no secrets, with its events, arrivals and refusals; says how many
    /// events went.
    pub async fn delete_inbox(&self, id: InboxId) -> Result<u64> {
        self.doom_inbox(id).await?;
        self.finish_deletion(id).await
    }

    // -- connections
    /// Makes one.
    pub async fn create_connection(
        &self,
        connection: NewConnection,
        now: Timestamp,
    ) -> Result<Connection> {
        self.write(move |db| connections::create(db, &connection, now)).await
    }
    /// All of them, by name.
    pub async fn connections(&self) -> Result<Vec<Connection>> {
        self.read(|reader| connections::all(&reader.db)).await
    }
    /// One.
    pub async fn connection(&self, id: ConnectionId) -> Result<Connection> {
        self.read(move |reader| connections::get(&reader.db, id)).await
    }
    /// Changes its name or settings.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        name: Option<String>,
        settings: Option<std::collections::BTreeMap<String, String>>,
    ) -> Result<Connection> {
        self.write(move |db| connections::update(db, id, name.as_deref(), settings.as_ref())).await
    }
    /// Notes what it can do now; one that is switched off stays so.
    pub async fn set_connection_state(
        &self,
        id: ConnectionId,
        state: ConnectionState,
    ) -> Result<()> {
        self.write(move |db| connections::set_state(db, id, &state)).await
    }
    /// Switches it on again where it is off: it can do then what it could without that.
    pub async fn switch_connection_on(&self, id: ConnectionId, now: Timestamp) -> Result<()> {
        self.write(move |db| connections::switch_on(db, id, now)).await
    }
    /// Notes that it can be used, and that it recovered, if it had worked before; one that is
    /// switched off stays so.
    pub async fn set_connection_ready(&self, id: ConnectionId, at: Timestamp) -> Result<()> {
        self.write(move |db| connections::set_ready(db, id, at)).await
    }
    /// Notes whether its account is for trying out.
    pub async fn set_connection_mode(&self, id: ConnectionId, mode: Option<Mode>) -> Result<()> {
        self.write(move |db| connections::set_mode(db, id, mode)).await
    }
    /// Adds what was `sent` to the ledgers of connections, and takes out what was added before, one
    /// request each, and was not sent after all; those of one that is gone are left out.
    pub async fn note_in_ledger(
        &self,
        sent: Vec<LedgerEntry>,
        not_sent: Vec<LedgerEntry>,
    ) -> Result<()> {
        self.write(move |db| ledger::note(db, &sent, &not_sent)).await
    }
    /// The newest of what is in the ledger of a connection, newest first.
    pub async fn ledger(&self, id: ConnectionId, limit: u32) -> Result<Vec<LedgerEntry>> {
        self.read(move |reader| ledger::newest(&reader.db, id, limit)).await
    }
    /// Notes that its credentials worked, and for which account.
    pub async fn set_connection_checked(
        &self,
        id: ConnectionId,
        account: Option<String>,
        at: Timestamp,
    ) -> Result<()> {
        self.write(move |db| connections::set_checked(db, id, account.as_deref(), at)).await
    }
    /// Notes what went wrong with its last check.
    pub async fn set_connection_fault(&self, id: ConnectionId, fault: CheckFault) -> Result<()> {
        self.write(move |db| connections::set_fault(db, id, &fault)).await
    }
    /// Notes that a token rotation begins: written before the request that spends the old token.
    pub async fn begin_rotation(&self, id: ConnectionId, at: Timestamp) -> Result<()> {
        self.write(move |db| connections::begin_rotation(db, id, at)).await
    }
    /// Points it to a generation of its secrets, and ends a rotation that was under way.
    pub async fn set_connection_secrets(
        &self,
        id: ConnectionId,
        generation: u32,
        token_expires_at: Option<Timestamp>,
    ) -> Result<()> {
        self.write(move |db| connections::set_secrets(db, id, generation, token_expires_at)).await
    }
    /// Notes when its sign-in ends unless it is used before.
    pub async fn set_sign_in_end(&self, id: ConnectionId, end: Option<Timestamp>) -> Result<()> {
        self.write(move |db| connections::set_sign_in_end(db, id, end)).await
    }
    /// Notes where its secrets may go: the user has just given them for these hosts.
    pub async fn set_connection_given_to(
        &self,
        id: ConnectionId,
        hosts: BTreeSet<String>,
    ) -> Result<()> {
        self.write(move |db| connections::set_given_to(db, id, &hosts)).await
    }
    /// Ends a rotation that came to nothing.
    pub async fn abandon_rotation(&self, id: ConnectionId) -> Result<()> {
        self.write(move |db| connections::abandon_rotation(db, id)).await
    }
    /// Deletes it with its syncs, runs and records. Its inboxes are left, without a connection.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<()> {
        self.write(move |db| connections::delete(db, id)).await?;
        self.remove_orphans().await
    }

    // -- syncs
    /// Makes one.
    pub async fn create_sync(
        &self,
        sync: NewSync,
        next_run_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Sync> {
        self.write(move |db| syncs::create(db, &sync, next_run_at, now)).await
    }
    /// All of them.
    pub async fn syncs(&self) -> Result<Vec<Sync>> {
        self.read(|reader| syncs::all(&reader.db)).await
    }
    /// One.
    pub async fn sync(&self, id: SyncId) -> Result<Sync> {
        self.read(move |reader| syncs::get(&reader.db, id)).await
    }
    /// Sets its schedule and whether it is paused.
    pub async fn schedule_sync(
        &self,
        id: SyncId,
        sync: NewSync,
        next_run_at: Option<Timestamp>,
    ) -> Result<Sync> {
        self.write(move |db| syncs::schedule(db, id, &sync, next_run_at)).await
    }
    /// Sets when it runs next, and nothing else of it.
    pub async fn set_next_run(&self, id: SyncId, at: Timestamp) -> Result<()> {
        self.write(move |db| syncs::set_next_run(db, id, at)).await
    }
    /// Its cursor, as JSON.
    pub async fn sync_cursor(&self, id: SyncId) -> Result<Option<String>> {
        self.read(move |reader| syncs::cursor(&reader.db, id)).await
    }
    /// Deletes it with its runs; its records stay.
    pub async fn delete_sync(&self, id: SyncId) -> Result<()> {
        self.write(move |db| syncs::delete(db, id)).await
    }
    /// Deletes it with its runs, and lets go of its records, which [`Store::remove_orphans`] removes.
    pub async fn delete_sync_and_records(&self, id: SyncId) -> Result<()> {
        self.write(move |db| {
            syncs::orphan_stream(db, id)?;
            syncs::delete(db, id)
        })
        .await
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
        self.write(move |db| runs::begin(db, sync, trigger, extent, next_run_at, now)).await
    }
    /// Writes the records of a page and the cursor that follows it, or neither. Says what it did.
    pub async fn commit_page(&self, page: SyncPage) -> Result<Counts> {
        let digests: Vec<_> = page.records.iter().map(records::digest).collect();
        let listed = match &page.parents {
            Parents::Listed { page, .. } => page.len(),
            Parents::Same | Parents::Forgotten | Parents::At { .. } => 0,
        };
        let rows = page.records.len() + listed;
        self.inner.writer.write(rows, move |db| records::commit_page(db, &page, &digests)).await
    }
    /// The next parent after the key `after` that is to be read for.
    pub async fn due_parent(&self, sync: SyncId, after: String) -> Result<Option<DueParent>> {
        self.read(move |reader| readings::due_parent(&reader.db, sync, &after)).await
    }
    /// Whether any parent of a sync has been read to its end, and is not due since.
    pub async fn any_parent_is_read(&self, sync: SyncId) -> Result<bool> {
        self.read(move |reader| readings::any_parent_is_read(&reader.db, sync)).await
    }
    /// What the full reading under way has seen.
    pub async fn seen(&self, sync: SyncId, reading: i64) -> Result<Seen> {
        self.read(move |reader| readings::seen(&reader.db, sync, reading)).await
    }
    /// One step of marking as deleted what a full reading has not seen, from the place `after` on.
    /// Answers where the next step begins, and what this one did; none where all is done.
    pub async fn sweep(
        &self,
        run: SyncRunId,
        reading: i64,
        after: i64,
        now: Timestamp,
    ) -> Result<(Option<i64>, Counts)> {
        self.write(move |db| readings::sweep(db, run, reading, after, now)).await
    }
    /// Ends a run.
    pub async fn finish_run(&self, id: SyncRunId, state: RunState) -> Result<()> {
        self.write(move |db| runs::finish(db, id, &state)).await
    }
    /// Runs, newest first.
    pub async fn sync_runs(
        &self,
        sync: Option<SyncId>,
        page: Page<SyncRunId>,
    ) -> Result<Slice<SyncRun, SyncRunId>> {
        self.read(move |reader| runs::list(&reader.db, sync, page)).await
    }
    /// One run.
    pub async fn sync_run(&self, id: SyncRunId) -> Result<SyncRun> {
        self.read(move |reader| runs::get(&reader.db, id)).await
    }
    /// Runs that a stop left running.
    pub async fn unfinished_runs(&self) -> Result<Vec<SyncRun>> {
        self.read(|reader| runs::unfinished(&reader.db)).await
    }

    // -- records
    /// Records, last changed first.
    pub async fn records(
        &self,
        filter: &RecordFilter,
        page: Page<RecordId>,
    ) -> Result<Slice<Record, RecordId>> {
        let filter = filter.clone();
        let slow = filter.text.is_some();
        self.read_filtered(slow, move |reader| {
            reader.snapshot(|it| records::list(&it.db, &filter, page))
        })
        .await
    }
    /// How many, not counting deleted ones.
    pub async fn record_count(&self, filter: &RecordFilter) -> Result<Count> {
        let filter = filter.clone();
        let slow = filter.text.is_some();
        self.read_filtered(slow, move |reader| {
            reader.snapshot(|it| records::count(&it.db, &filter))
        })
        .await
    }

    // -- tunnels
    /// Makes one.
    pub async fn create_tunnel(&self, tunnel: NewTunnel, now: Timestamp) -> Result<Tunnel> {
        self.write(move |db| tunnels::create(db, &tunnel, now)).await
    }
    /// All of them.
    pub async fn tunnels(&self) -> Result<Vec<Tunnel>> {
        self.read(|reader| tunnels::all(&reader.db)).await
    }
    /// One.
    pub async fn tunnel(&self, id: TunnelId) -> Result<Tunnel> {
        self.read(move |reader| tunnels::get(&reader.db, id)).await
    }
    /// Notes whether it should run.
    pub async fn switch_tunnel(&self, id: TunnelId, on: bool) -> Result<()> {
        self.write(move |db| tunnels::switch(db, id, on)).await
    }
    /// Points it to a generation of its secrets.
    pub async fn set_tunnel_secrets(&self, id: TunnelId, generation: u32) -> Result<()> {
        self.write(move |db| tunnels::set_secrets(db, id, generation)).await
    }
    /// Deletes it.
    pub async fn delete_tunnel(&self, id: TunnelId) -> Result<()> {
        self.write(move |db| tunnels::delete(db, id)).await
    }

    // -- settings of the installation
    /// The value of a setting, as JSON text.
    pub async fn setting(&self, name: &'static str) -> Result<Option<String>> {
        self.read(move |reader| settings::get(&reader.db, name)).await
    }
    /// Sets it.
    pub async fn set_setting(&self, name: &'static str, value: String) -> Result<()> {
        self.write(move |db| settings::set(db, name, &value)).await
    }

    // -- the file itself
    /// How many bytes the databases take.
    pub async fn size_bytes(&self) -> Result<u64> {
        let dir = self.inner.dir.clone();
        self.read(move |_| Ok(file::size(&dir))).await
    }
    /// Deletes everything that the sandbox put there: connection, inbox, events, syncs, records.
    pub async fn delete_sandbox(&self) -> Result<()> {
        let doomed = self
            .write(|db| {
                inboxes::doom_sandbox(db)?;
                connections::delete_sandbox(db)?;
                syncs::delete_sandbox(db)?;
                inboxes::doomed(db)
            })
            .await?;
        for (inbox, _) in doomed {
            self.remove_inbox(inbox)?.wait().await?;
        }
        self.remove_orphans().await
    }
    /// Checks the database's integrity.
    pub async fn check(&self) -> Result<()> {
        self.read_filtered(true, |reader| file::check(&reader.db)).await
    }

    // -- how it is done
    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&readers::Reader) -> Result<T> + Send + 'static,
    {
        self.inner.readers.read(work).await
    }

    /// A read that may take long where it is `slow`: those leave a thread for the others.
    async fn read_filtered<T, F>(&self, slow: bool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&readers::Reader) -> Result<T> + Send + 'static,
    {
        if slow {
            self.inner.readers.read_slowly(work).await
        } else {
            self.inner.readers.read(work).await
        }
    }

    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    {
        self.inner.writer.write(1, work).await
    }

    fn remove_inbox(&self, id: InboxId) -> Result<writer::Steps> {
        let index = Arc::clone(&self.inner.index);
        self.inner.writer.write_in_steps(move |db| {
            let mut gone = Vec::new();
            let step = inboxes::remove(db, id, &mut |event| gone.push(event))?;
            if !gone.is_empty() {
                index.remove(&gone);
            }
            Ok(step)
        })
    }

    fn remove_stream(&self, stream: i64) -> Result<writer::Steps> {
        self.inner.writer.write_in_steps(move |db| records::remove(db, stream))
    }

    /// Removes the records that nothing holds any more, in steps.
    pub async fn remove_orphans(&self) -> Result<()> {
        let orphans = self.read(|reader| records::orphans(&reader.db)).await?;
        for stream in orphans {
            self.remove_stream(stream)?.wait().await?;
        }
        self.give_back()
    }

    /// Makes the file smaller after a deletion, step by step; nobody waits for it.
    fn give_back(&self) -> Result<()> {
        self.inner.writer.write_in_steps(file::give_back).map(drop)
    }
}

fn start_writer(
    shared: Arc<writer::Shared>,
    followers: writer::Followers,
    db: rusqlite::Connection,
    dir: &Path,
) -> Result<std::thread::JoinHandle<()>> {
    let dir = dir.to_owned();
    std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || writer::run(&shared, &followers, db, || file::open_writer(&dir)))
        .map_err(|error| Error::Io(error.to_string()))
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => Self::NotFound,
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<rusqlite::types::FromSqlError> for Error {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl Error {
    /// A broken `unique` is a name that is taken; a broken reference is a thing that is not there.
    fn or_taken(error: rusqlite::Error, name: &str) -> Self {
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE) => Self::Taken(name.to_owned()),
            Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Self::NotFound,
            _ => error.into(),
        }
    }
}

fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| Error::Damaged(format!("{millis} is not a time")))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Io(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Damaged(error.to_string()))
}

/// The one row that there must be.
fn one<T>(
    db: &rusqlite::Connection,
    sql: &str,
    params: &[(&str, &dyn rusqlite::ToSql)],
    read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<T> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    read(rows.next()?.ok_or(Error::NotFound)?)
}

/// All rows.
fn rows<T>(
    db: &rusqlite::Connection,
    sql: &str,
    params: &[(&str, &dyn rusqlite::ToSql)],
    read: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    db.prepare_cached(sql)?.query_and_then(params, read)?.collect()
}

/// An update or delete by id must find its row.
fn changed_one(rows: usize) -> Result<()> {
    if rows == 0 { Err(Error::NotFound) } else { Ok(()) }
}

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
