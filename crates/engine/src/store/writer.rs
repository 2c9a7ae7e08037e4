//! The one thread that writes.
//!
//! Durable writes are slow one by one and fast together, so the writer takes what has queued up,
//! gives each write a savepoint of its own, and commits them as one group. A caller is answered
//! after that commit: one bad write fails alone, a failed commit fails its whole group.
//!
//! Intake goes first. Other writes take turns of at most [`TURN`] or [`TURN_ROWS`], and long ones
//! (deletions) come as [`Step`]s that go to the back of the queue after each turn.
//!
//! A panic here ends the process: memory and disk may no longer agree, and a listener that takes
//! requests without writing them is worse than none.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use domain::event::Accepted;
use domain::id::InboxId;
use domain::refusal::{NewRefusal, Reason};
use indexmap::IndexMap;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::arrivals::{Intake, Prepared};
use super::{Error, Result, checkpoint, index, refusals};

/// How long other writes may keep intake waiting at a time.
const TURN: Duration = Duration::from_millis(5);
/// How many rows they may write in that turn.
const TURN_ROWS: usize = 256;
/// Rows of intake after which a group is committed though more wait.
const GROUP_ROWS: usize = 1_024;
/// Bytes of intake after which a group is committed though more wait.
const GROUP_BYTES: usize = 8 << 20;
/// What intake may have waiting, in units of [`UNIT`]: 32 MiB of bodies.
pub(super) const ROOM: usize = 32 << 10;
/// What one unit of [`ROOM`] is: a row costs one, and one more for each of these that it is long.
const UNIT: usize = 1 << 10;
/// How many other writes may wait.
const OTHERS: usize = 512;
/// How many refusals may wait; more are counted and dropped.
const REFUSALS: usize = 1_024;
/// How many rows of refusals that are for no inbox may wait. Each counts many.
const STRANGERS: usize = TURN_ROWS;

/// A write of any kind but intake.
pub(super) trait Work: Send {
    /// Does it, within a savepoint of its own.
    fn run(&mut self, db: &Connection) -> Result<()>;
    /// Answers its caller after the commit, or with why it failed. What comes back is queued again.
    fn answer(self: Box<Self>, fate: Result<()>) -> Option<Box<dyn Work>>;
    /// Whether nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// About how many rows it writes.
    fn rows(&self) -> usize;
}

/// Arrivals that are stored together or not at all.
struct Batch {
    arrivals: Vec<Prepared>,
    reply: oneshot::Sender<Result<Vec<Accepted>>>,
    /// Its room in the queue.
    room: tokio::sync::OwnedSemaphorePermit,
}

impl Batch {
    /// Gives its room back and answers: whoever has the answer finds the room free.
    fn answer(self, outcome: Result<Vec<Accepted>>) {
        drop(self.room);
        let _ = self.reply.send(outcome);
    }
}

#[derive(Default)]
struct Queue {
    intake: VecDeque<Batch>,
    others: VecDeque<Box<dyn Work>>,
    refusals: VecDeque<NewRefusal>,
    /// Those for no inbox, counted here so that a flood of them neither fills the queue nor is
    /// forgotten. In the order in which they came first.
    strangers: IndexMap<Stranger, (NewRefusal, u32)>,
    /// Whether the writer sleeps; nobody wakes it needlessly.
    idle: bool,
    closing: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.intake.is_empty()
            && self.others.is_empty()
            && self.refusals.is_empty()
            && self.strangers.is_empty()
    }
}

/// What refusals that are for no inbox have one row for: minute, address, reason, message.
type Stranger = (i64, Option<String>, Reason, String);

/// Is told an inbox.
type Tell = Box<dyn Fn(Option<InboxId>) + Send + Sync>;

/// What callers and the writer share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Room for intake, in units.
    room: Arc<Semaphore>,
    /// Room for other writes.
    others: Arc<Semaphore>,
    /// Groups committed since the start.
    pub(super) commits: AtomicU64,
    /// Refusals for which there was no room.
    pub(super) dropped: AtomicU64,
    /// Whether the last write failed for want of room on the disk.
    pub(super) full: AtomicBool,
    /// Told of each inbox of which refusals have reached the disk.
    pub(super) refused: OnceLock<Tell>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            room: Arc::new(Semaphore::new(ROOM)),
            others: Arc::new(Semaphore::new(OTHERS)),
            commits: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            full: AtomicBool::new(false),
            refused: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that holds this lock can panic half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, put: impl FnOnce(&mut Queue)) -> Result<()> {
        let mut queue = self.lock();
        if queue.closing {
            return Err(Error::Closed);
        }
        put(&mut queue);
        let wake = std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// How many calls of intake wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().intake.len()
    }

    /// How much of [`ROOM`] is taken.
    pub(super) fn depth(&self) -> usize {
        ROOM - self.room.available_permits().min(ROOM)
    }

    /// Queues arrivals and waits for their commit. Dropping the future before it has an answer
    /// leaves them stored whole or not at all.
    pub(super) async fn accept(&self, arrivals: Vec<Prepared>) -> Result<Vec<Accepted>> {
        let room = Arc::clone(&self.room)
            .acquire_many_owned(room_for(&arrivals))
            .await
            .map_err(|_| Error::Closed)?;
        self.accept_with(arrivals, room).await
    }

    /// As [`Shared::accept`], but gives up when there is no room within `patience`.
    pub(super) async fn accept_within(
        &self,
        arrivals: Vec<Prepared>,
        patience: Duration,
    ) -> Result<Vec<Accepted>> {
        let room = Arc::clone(&self.room).acquire_many_owned(room_for(&arrivals));
        let room = tokio::time::timeout(patience, room)
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Closed)?;
        self.accept_with(arrivals, room).await
    }

    async fn accept_with(
        &self,
        arrivals: Vec<Prepared>,
        room: tokio::sync::OwnedSemaphorePermit,
    ) -> Result<Vec<Accepted>> {
        let (reply, answer) = oneshot::channel();
        self.push(|queue| queue.intake.push_back(Batch { arrivals, reply, room }))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Queues a write and waits for its commit.
    pub(super) async fn write<T, F>(&self, rows: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let turn = Arc::clone(&self.others).acquire_owned().await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        let task = Task { work: Some(work), done: None, reply: Some(reply), rows, _turn: turn };
        self.push(|queue| queue.others.push_back(Box::new(task)))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Queues a long write that is done step by step. It goes on when nobody waits for its end.
    pub(super) fn write_in_steps<F>(&self, step: F) -> Result<Steps>
    where
        F: FnMut(&Connection) -> Result<Step> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let walk = Walk { step, last: None, rows: 0, reply };
        self.push(|queue| queue.others.push_back(Box::new(walk)))?;
        Ok(Steps(answer))
    }

    /// Queues a refusal if there is room.
    pub(super) fn refuse(&self, refusal: NewRefusal) {
        let mut taken = false;
        let _ = self.push(|queue| {
            let Some(minute) = refusals::minute(&refusal) else {
                if queue.refusals.len() < REFUSALS {
                    queue.refusals.push_back(refusal);
                    taken = true;
                }
                return;
            };
            let key = (minute, refusal.address.clone(), refusal.reason, refusal.message.clone());
            if let Some((last, times)) = queue.strangers.get_mut(&key) {
                last.at = last.at.max(refusal.at);
                *times = times.saturating_add(1);
                taken = true;
            } else if queue.strangers.len() < STRANGERS {
                queue.strangers.insert(key, (refusal, 1));
                taken = true;
            }
        });
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets the writer finish what is queued, and take no more.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
        // Whoever waits for room is told at once.
        self.room.close();
        self.others.close();
    }
}

/// A row costs one unit, and one for each KiB of its body; more than all there are is all of them.
fn room_for(arrivals: &[Prepared]) -> u32 {
    let units: usize = arrivals.iter().map(|arrival| 1 + arrival.bytes() / UNIT).sum();
    u32::try_from(units.min(ROOM)).unwrap_or(u32::MAX)
}

/// One write with a result.
struct Task<T, F> {
    work: Option<F>,
    done: Option<T>,
    reply: Option<oneshot::Sender<Result<T>>>,
    rows: usize,
    _turn: tokio::sync::OwnedSemaphorePermit,
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, db: &Connection) -> Result<()> {
        if let Some(work) = self.work.take() {
            self.done = Some(work(db)?);
        }
        Ok(())
    }

    fn answer(mut self: Box<Self>, fate: Result<()>) -> Option<Box<dyn Work>> {
        let answer = match (fate, self.done.take()) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(Error::Closed),
            (Err(error), _) => Err(error),
        };
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(answer);
        }
        None
    }

    fn abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

/// What a step of a long write has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many rows, and there may be more.
    More(u64),
    /// So many rows, the last.
    Done(u64),
}

/// A long write under way.
pub(super) struct Steps(oneshot::Receiver<Result<u64>>);

impl Steps {
    /// Waits for its end; says how many rows its steps counted.
    pub(super) async fn wait(self) -> Result<u64> {
        self.0.await.map_err(|_| Error::Closed)?
    }
}

struct Walk<F> {
    step: F,
    last: Option<Step>,
    rows: u64,
    reply: oneshot::Sender<Result<u64>>,
}

impl<F> Work for Walk<F>
where
    F: FnMut(&Connection) -> Result<Step> + Send + 'static,
{
    fn run(&mut self, db: &Connection) -> Result<()> {
        self.last = Some((self.step)(db)?);
        Ok(())
    }

    fn answer(mut self: Box<Self>, fate: Result<()>) -> Option<Box<dyn Work>> {
        match (fate, self.last.take()) {
            (Ok(()), Some(Step::More(rows))) => {
                self.rows += rows;
                return Some(self);
            }
            (Ok(()), Some(Step::Done(rows))) => {
                let _ = self.reply.send(Ok(self.rows + rows));
            }
            (Ok(()), None) => {}
            (Err(error), _) => {
                let _ = self.reply.send(Err(error));
            }
        }
        None
    }

    fn abandoned(&self) -> bool {
        false
    }

    fn rows(&self) -> usize {
        TURN_ROWS
    }
}

/// Those who are told of commits.
pub(super) struct Followers {
    pub(super) index: Arc<index::Shared>,
    pub(super) checkpoints: Arc<checkpoint::Shared>,
}

/// Why the writer left its connection.
enum End {
    /// All is written, and nothing more comes.
    Closed,
    /// A group failed as a whole; the connection may no longer be what it was.
    Failed,
}

/// Runs the writer on the current thread until the store closes.
pub(super) fn run(
    shared: &Shared,
    followers: &Followers,
    mut db: Connection,
    open: impl Fn() -> Result<Connection>,
) {
    let _abort = AbortOnPanic;
    loop {
        if let Err(error) = followers.checkpoints.listen(&mut db) {
            tracing::warn!(%error, "the database's log cannot be watched");
        }
        if let End::Closed = serve(shared, followers, &db) {
            break;
        }
        match reopen(shared, &open) {
            Some(anew) => db = anew,
            None => break,
        }
    }
}

/// Opens the connection anew, however long that takes; what comes meanwhile fails at once.
fn reopen(shared: &Shared, open: &impl Fn() -> Result<Connection>) -> Option<Connection> {
    loop {
        let error = match open() {
            Ok(db) => return Some(db),
            Err(error) => error,
        };
        tracing::error!(%error, "the database cannot be opened again");
        let mut queue = shared.lock();
        if queue.closing && queue.is_empty() {
            return None;
        }
        for batch in queue.intake.drain(..) {
            batch.answer(Err(error.clone()));
        }
        let others = std::mem::take(&mut queue.others);
        queue.refusals.clear();
        queue.strangers.clear();
        for work in others {
            let _ = work.answer(Err(error.clone()));
        }
        let _ = shared.wake.wait_timeout(queue, Duration::from_millis(500));
    }
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the writer panicked; ending the process, since nothing can be stored");
            std::process::abort();
        }
    }
}

fn serve(shared: &Shared, followers: &Followers, db: &Connection) -> End {
    let mut intake = match Intake::new(db) {
        Ok(intake) => intake,
        Err(error) => {
            tracing::error!(%error, "the writer cannot read the database");
            return End::Failed;
        }
    };
    let mut waiting = VecDeque::new();
    loop {
        if !wait_for_work(shared, &mut waiting) {
            return End::Closed;
        }
        let group = Group {
            shared,
            db,
            intake: &mut intake,
            done: Vec::new(),
            others: Vec::new(),
            refused: Vec::new(),
        };
        if let Err(error) = group.write(&mut waiting) {
            tracing::error!(%error, "a group of writes failed");
            // Those that were not begun are not part of what failed.
            let mut queue = shared.lock();
            while let Some(batch) = waiting.pop_back() {
                queue.intake.push_front(batch);
            }
            return End::Failed;
        }
        followers.index.follow(intake.newest());
        followers.checkpoints.committed();
    }
}

/// Waits until there is something to write; false when there never will be.
fn wait_for_work(shared: &Shared, waiting: &mut VecDeque<Batch>) -> bool {
    if !waiting.is_empty() {
        return true;
    }
    let mut queue = shared.lock();
    loop {
        if !queue.is_empty() {
            std::mem::swap(&mut queue.intake, waiting);
            return true;
        }
        if queue.closing {
            return false;
        }
        queue.idle = true;
        queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle = false;
    }
}

/// One transaction, and those who wait for it.
struct Group<'a, 'db> {
    shared: &'a Shared,
    db: &'db Connection,
    intake: &'a mut Intake<'db>,
    done: Vec<(Batch, Result<Vec<Accepted>>)>,
    others: Vec<(Box<dyn Work>, Result<()>)>,
    /// The inboxes of the refusals in it.
    refused: Vec<Option<InboxId>>,
}

impl Group<'_, '_> {
    fn write(mut self, waiting: &mut VecDeque<Batch>) -> Result<()> {
        match self.fill(waiting).and_then(|()| self.commit()) {
            Ok(()) => {
                self.answer();
                Ok(())
            }
            Err(error) => {
                if !self.db.is_autocommit() {
                    let _ = self.db.execute_batch("rollback");
                }
                self.shared.full.store(matches!(error, Error::DiskFull), Ordering::Relaxed);
                self.fail(&error);
                Err(error)
            }
        }
    }

    fn fill(&mut self, waiting: &mut VecDeque<Batch>) -> Result<()> {
        self.db.prepare_cached("begin immediate")?.execute([])?;
        let (mut rows, mut bytes) = (0, 0);
        self.take_in(waiting, &mut rows, &mut bytes)?;
        self.take_turn()?;
        // What came during the turn rides along.
        if !self.others.is_empty() {
            self.intake.forget_inboxes();
        }
        if waiting.is_empty() {
            std::mem::swap(&mut self.shared.lock().intake, waiting);
            self.take_in(waiting, &mut rows, &mut bytes)?;
        }
        Ok(())
    }

    fn take_in(
        &mut self,
        waiting: &mut VecDeque<Batch>,
        rows: &mut usize,
        bytes: &mut usize,
    ) -> Result<()> {
        let mut taken = Vec::new();
        while *rows < GROUP_ROWS && *bytes < GROUP_BYTES {
            let Some(batch) = waiting.pop_front() else { break };
            // Its sender was told to come again; it has not been stored, and that is true.
            if batch.reply.is_closed() {
                continue;
            }
            *rows += batch.arrivals.len();
            *bytes += batch.arrivals.iter().map(Prepared::bytes).sum::<usize>();
            taken.push(batch);
        }
        if taken.is_empty() {
            return Ok(());
        }
        let calls: Vec<&[Prepared]> = taken.iter().map(|batch| &batch.arrivals[..]).collect();
        let outcomes = self.intake.store(&calls);
        self.done.extend(taken.into_iter().zip(outcomes));
        self.still_open()
    }

    /// Other writes have their turn: one at least, and no more than the time and rows of a turn.
    fn take_turn(&mut self) -> Result<()> {
        let began = Instant::now();
        let mut rows = 0;
        self.write_refusals()?;
        // Steps are queued again only after the commit, so that this ends.
        while rows < TURN_ROWS && began.elapsed() < TURN {
            let Some(mut work) = self.shared.lock().others.pop_front() else { break };
            if work.abandoned() {
                continue;
            }
            rows += work.rows();
            let outcome = in_savepoint(self.db, |db| work.run(db));
            self.others.push((work, outcome));
            self.still_open()?;
        }
        Ok(())
    }

    fn write_refusals(&mut self) -> Result<()> {
        let taken: Vec<(NewRefusal, u32)> = {
            let mut queue = self.shared.lock();
            let n = queue.refusals.len().min(TURN_ROWS);
            let strangers = std::mem::take(&mut queue.strangers).into_values();
            queue.refusals.drain(..n).map(|refusal| (refusal, 1)).chain(strangers).collect()
        };
        if taken.is_empty() {
            return Ok(());
        }
        if let Err(error) = in_savepoint(self.db, |db| refusals::insert(db, &taken)) {
            let lost = taken.iter().map(|(_, times)| u64::from(*times)).sum();
            self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
            tracing::warn!(%error, "refusals could not be noted");
        } else {
            self.refused = taken.iter().map(|(refusal, _)| refusal.inbox).collect();
            self.refused.sort_unstable();
            self.refused.dedup();
        }
        self.still_open()
    }

    /// Some faults (a full disk, a bad read) make SQLite roll back everything: then nobody in this
    /// group has been stored.
    fn still_open(&self) -> Result<()> {
        if !self.db.is_autocommit() {
            return Ok(());
        }
        let cause = self
            .others
            .iter()
            .filter_map(|(_, outcome)| outcome.as_ref().err())
            .chain(self.done.iter().filter_map(|(_, outcome)| outcome.as_ref().err()))
            .find(|error| !matches!(error, Error::NotFound | Error::Taken(_)));
        Err(cause.cloned().unwrap_or_else(|| Error::Io("the transaction was rolled back".into())))
    }

    fn commit(&mut self) -> Result<()> {
        self.intake.keep_marks()?;
        self.db.prepare_cached("commit")?.execute([])?;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        let full = self.done.iter().any(|(_, outcome)| matches!(outcome, Err(Error::DiskFull)))
            || self.others.iter().any(|(_, outcome)| matches!(outcome, Err(Error::DiskFull)));
        self.shared.full.store(full, Ordering::Relaxed);
        Ok(())
    }

    fn answer(self) {
        if let Some(tell) = self.shared.refused.get() {
            self.refused.iter().for_each(|&inbox| tell(inbox));
        }
        for (batch, outcome) in self.done {
            batch.answer(outcome);
        }
        let again: Vec<_> =
            self.others.into_iter().filter_map(|(work, outcome)| work.answer(outcome)).collect();
        if !again.is_empty() {
            let mut queue = self.shared.lock();
            // What is left of a long write is taken up again on the next start.
            if !queue.closing {
                queue.others.extend(again);
            }
        }
    }

    fn fail(self, error: &Error) {
        for (batch, outcome) in self.done {
            batch.answer(outcome.and_then(|_| Err(error.clone())));
        }
        for (work, outcome) in self.others {
            let _ = work.answer(outcome.and_then(|()| Err(error.clone())));
        }
    }
}

/// Does `work` so that all of it is undone when it fails, and nothing else is.
fn in_savepoint<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    db.prepare_cached("savepoint one")?.execute([])?;
    let outcome = work(db);
    if outcome.is_err() && !db.is_autocommit() {
        db.prepare_cached("rollback to one")?.execute([])?;
    }
    if !db.is_autocommit() {
        db.prepare_cached("release one")?.execute([])?;
    }
    outcome
}
