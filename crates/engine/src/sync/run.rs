//! One run, from its beginning to the note of its end.
//!
//! How it reads is in [`super::reader`]. Whatever was written carries where to go on, so wherever a
//! run stops (a fault, a cancel, the end of the program), it or the next one goes on from there. A
//! run that the end of the program stopped stays *running* in the store and is gone on with at the
//! next start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::connection::Connection;
use domain::connector::{Connector, Stream};
use domain::id::ConnectionId;
use domain::paging::{self, Cursor, PageRead, Reading};
use domain::record::NewRecord;
use domain::sync::{RunError, RunState, SyncRun};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::at_work::{AtWork, Waiting};
use super::failure::{Failure, NotReady};
use super::reader::Reader;
use crate::Engine;
use crate::changes::{Notice, Noun};
use crate::outgoing::{self, Answer, Because, Pause, Purpose, Watch};
use crate::store;

/// How long an answer may take to be understood: its expressions are somebody else's program.
pub(crate) const READING: Duration = Duration::from_secs(30);

/// How many records of a stream are read where something is done for each of them, or one is looked
/// for.
const MOST_LISTED: usize = 1_000;

/// After how long without an answer a run says that it waits for one.
const SLOW: Duration = Duration::from_secs(2);
/// The shortest pause that is shown; nobody could read a shorter one.
const WORTH_SAYING: SignedDuration = SignedDuration::from_millis(700);

/// Most characters of what is told of an answer that could not be read.
const TOLD: usize = 400;

/// What a run reads, all of it at hand.
pub(super) struct Source {
    pub(super) connection: Connection,
    pub(super) connector: Arc<Connector>,
    pub(super) stream: String,
}

impl Source {
    /// A stream of the connector, with what settings decide of it.
    pub(super) fn settled(&self, id: &str, values: &Value) -> Result<Arc<Stream>, Failure> {
        let missing = || Failure::Connector(format!("it has no stream `{id}`"));
        let stream = self.connector.streams.get(id).ok_or_else(missing)?;
        let settled = stream.settled(values).map_err(paging::Error::from)?;
        Ok(Arc::new(settled.into_owned()))
    }
}

impl Engine {
    /// Does a run, and notes its end. Whoever cancels it has noted that already.
    pub(super) async fn do_run(self, run: SyncRun, at_work: Arc<AtWork>) {
        let reading = Box::pin(self.read_to_end(&run, &at_work));
        let done = at_work.cancelled.run_until_cancelled(reading).await;
        let Some(done) = done else {
            self.inner.syncs.leave(run.id);
            self.note(Noun::Syncs, 0);
            self.give_up(&at_work).await;
            return;
        };
        let done = match done {
            Err(failure) => Err((self.told(&run, &failure).await, failure)),
            Ok(()) => Ok(()),
        };
        let _changing = self.inner.syncs.changing.lock().await;
        if let Err(error) = self.end_run(&run, done).await {
            tracing::warn!(run.id = %run.id, %error, "the end of sync run {} was not noted", run.id);
        }
        self.inner.syncs.leave(run.id);
        self.note(Noun::Syncs, 0);
    }

    /// Ends the job of a run that its user has cancelled, as far as the other side lets us. One that
    /// the end of the program stops is gone on with.
    async fn give_up(&self, at_work: &AtWork) {
        let Some(request) = at_work.gives_up() else { return };
        if self.inner.syncs.stopping.is_cancelled() {
            return;
        }
        let given_up = async {
            let connection = self.usable(at_work.connection).await?;
            let purpose = Purpose::of("end of a job");
            Ok::<_, Failure>(self.call_for(&connection, &request, purpose).await?)
        };
        if let Err(error) = given_up.await {
            tracing::info!(%error, "a job at the other side could not be ended");
        }
    }

    /// What the user is told of a failure. Where an answer could not be read, or says why a job has
    /// failed, what is said of it may quote it, and it may quote what it was sent.
    async fn told(&self, run: &SyncRun, failure: &Failure) -> RunError {
        let mut told = failure.told();
        if let Failure::Paging(_) | Failure::Job(_) = failure
            && let Ok(sync) = self.inner.store.sync(run.sync).await
            && let Ok(connection) = self.inner.store.connection(sync.sync.connection).await
        {
            let secrets = self.secrets_known_to_provider(&connection, &[]).await;
            told.message = outgoing::said(&told.message, &secrets, TOLD);
        }
        told
    }

    async fn end_run(
        &self,
        run: &SyncRun,
        done: Result<(), (RunError, Failure)>,
    ) -> store::Result<()> {
        let at = self.now();
        let state = match &done {
            Ok(()) => RunState::Done { at },
            Err((told, _)) => RunState::Failed { at, error: told.clone() },
        };
        match self.inner.store.finish_run(run.id, state).await {
            // Somebody else ended it or its sync, or everything ends and the next start goes on.
            Err(store::Error::RunEnded | store::Error::NotFound | store::Error::Closed) => {
                return Ok(());
            }
            noted => noted?,
        }
        let Err((told, failure)) = done else {
            tracing::info!(run.id = %run.id, "sync run {} finished", run.id);
            return Ok(());
        };
        tracing::info!(run.id = %run.id, code = told.code, "sync run {} failed", run.id);
        if failure.waits_for_connection() {
            self.make_due_if_not_ready(run, at).await?;
        }
        Ok(())
    }

    /// Lets a sync run again as soon as its connection can be used. Where that can be used as far
    /// as anybody knows, its schedule stands: it would fail again at once.
    async fn make_due_if_not_ready(&self, run: &SyncRun, now: Timestamp) -> store::Result<()> {
        let sync = self.inner.store.sync(run.sync).await?;
        let connection = self.inner.store.connection(sync.sync.connection).await?;
        if NotReady::of(&connection.connection.state).is_some() {
            self.inner.store.set_next_run(sync.id, now).await?;
        }
        Ok(())
    }

    async fn read_to_end(&self, run: &SyncRun, at_work: &AtWork) -> Result<(), Failure> {
        let source = self.source(run).await?;
        let _turn = self.turn(&source.connection, at_work).await;
        let stored = self.inner.store.sync_cursor(run.sync).await?;
        let reading = stored.as_deref().map(Reading::stored).unwrap_or_default();
        if reading.is_ended_by(run.id.get(), run.counts.pages) {
            return Ok(());
        }
        let values = self.values(&source.connection, &source.connector, &Value::Null);
        let stream = source.settled(&source.stream, &values)?;
        Reader { engine: self, run, source: &source, stream, at_work }.read(reading, &values).await
    }

    async fn source(&self, run: &SyncRun) -> Result<Source, Failure> {
        let sync = self.inner.store.sync(run.sync).await?.sync;
        let connection = self.usable(sync.connection).await?;
        let id = &connection.connection.connector;
        let missing = || Failure::Connector(format!("`{id}` cannot be read"));
        let connector = self.inner.connectors.get(id).ok_or_else(missing)?;
        Ok(Source { connection, connector, stream: sync.stream })
    }

    pub(super) async fn usable(&self, id: ConnectionId) -> Result<Connection, Failure> {
        let connection = self.inner.store.connection(id).await?;
        match NotReady::of(&connection.connection.state) {
            None => Ok(connection),
            Some(why) => Err(Failure::NotReady(why)),
        }
    }

    /// Waits until the connection has a turn for one more run.
    async fn turn(
        &self,
        connection: &Connection,
        at_work: &AtWork,
    ) -> Option<OwnedSemaphorePermit> {
        let turns = self.inner.syncs.turns(connection.id);
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Some(turn);
        }
        let why = format!("other syncs of {} run first", connection.connection.name);
        at_work.wait_for(Some(Waiting { why, until: None }));
        // Nobody closes them.
        let turn = turns.acquire_owned().await.ok();
        at_work.wait_for(None);
        turn
    }

    /// All records of a stream as the other side has them now, without storing them: for what is
    /// done for each of them. More than [`MOST_LISTED`] are left out.
    pub(crate) async fn all_records(
        &self,
        connection: &Connection,
        connector: &Connector,
        stream: &str,
    ) -> Result<Vec<NewRecord>, outgoing::Error> {
        let missing = || outgoing::Error::Connector(format!("it has no stream `{stream}`"));
        let stream = connector.streams.get(stream).ok_or_else(missing)?;
        let purpose = Purpose::of("parents of a stream");
        self.all_listed(connection, connector, stream, &Value::Null, purpose).await
    }

    /// As [`Engine::all_records`], of anything that is read like a stream; `extra` is what its texts
    /// may use beside the usual.
    pub(crate) async fn all_listed(
        &self,
        connection: &Connection,
        connector: &Connector,
        stream: &Stream,
        extra: &Value,
        purpose: Purpose<'_>,
    ) -> Result<Vec<NewRecord>, outgoing::Error> {
        let unfit = |error: paging::Error| outgoing::Error::Connector(error.to_string());
        let values = self.values(connection, connector, &Value::Null);
        let stream = &*stream.settled(&values).map_err(|error| unfit(error.into()))?;
        let mut cursor = Cursor::default().go_on(stream, self.now());
        let mut records = Vec::new();
        loop {
            let credential = self.credential(connection).await?;
            let mut values = self.values(connection, connector, &credential.values);
            if let (Value::Object(values), Value::Object(extra)) = (&mut values, extra) {
                values.extend(extra.clone());
            }
            let request = paging::request(stream, &cursor, &values).map_err(unfit)?;
            let answer = self.call_for(connection, &request.into(), purpose).await?;
            let page =
                read_page(stream, &cursor, &answer, &values, self.now()).map_err(|error| {
                    outgoing::Error::Answer { host: answer.host.clone(), why: error.to_string() }
                })?;
            records.extend(page.records);
            if page.done || records.len() >= MOST_LISTED {
                records.truncate(MOST_LISTED);
                return Ok(records);
            }
            cursor = page.cursor;
        }
    }

    pub(super) fn note(&self, noun: Noun, added: u64) {
        self.inner.changes.note(Notice { added, ..Notice::of(noun) });
    }

    /// Waits until `until` by the wall clock, which may be set, and goes on while a computer
    /// sleeps and timers do not.
    pub(super) async fn doze_until(&self, until: Timestamp) {
        loop {
            let left = until.duration_since(self.now());
            if !left.is_positive() {
                return;
            }
            tokio::time::sleep(left.unsigned_abs().min(super::schedule::NAP)).await;
        }
    }
}

/// Shows on a sync what its call waits for.
pub(super) struct Watcher<'a> {
    engine: &'a Engine,
    at_work: &'a AtWork,
    /// What its user calls the other side.
    name: &'a str,
    /// How many requests were counted before the answer came that counts them all.
    told: AtomicU32,
}

impl<'a> Watcher<'a> {
    pub(super) const fn of(engine: &'a Engine, at_work: &'a AtWork, name: &'a str) -> Self {
        Self { engine, at_work, name, told: AtomicU32::new(0) }
    }

    /// How many requests were counted already; they are counted anew from now on.
    pub(super) fn told(&self) -> u32 {
        self.told.swap(0, Ordering::Relaxed)
    }

    pub(super) fn waits(&self, because: Because, until: Timestamp) {
        let name = self.name;
        let why = match because {
            Because::Budget => format!("the calls that {name} allows are used up"),
            Because::TooMany => format!("{name} says too many requests"),
            Because::Status(status) => format!("{name} answered {status}"),
            Because::NoAnswer => format!("{name} does not answer"),
        };
        self.show(Some(Waiting { why, until: Some(until) }));
    }

    pub(super) fn goes_on(&self) {
        self.show(None);
    }

    fn show(&self, waiting: Option<Waiting>) {
        if self.at_work.waiting() != waiting {
            self.at_work.wait_for(waiting);
            self.engine.note(Noun::Syncs, 0);
        }
    }

    /// Does a call; where no answer has come for a while, and nothing else is waited for, it says so.
    pub(super) async fn until_slow<T>(&self, mut call: impl Future<Output = T> + Unpin) -> T {
        let answer = match tokio::time::timeout(SLOW, &mut call).await {
            Ok(answer) => answer,
            Err(_) => {
                if self.at_work.waiting().is_none() {
                    let why = format!("{} takes long to answer", self.name);
                    self.show(Some(Waiting { why, until: None }));
                }
                call.await
            }
        };
        self.goes_on();
        answer
    }
}

impl Watch for Watcher<'_> {
    fn pauses(&self, pause: Pause) {
        if pause.because != Because::Budget {
            self.told.fetch_add(1, Ordering::Relaxed);
            self.at_work.requested(1);
        }
        let left = pause.until.duration_since(self.engine.now());
        if left >= WORTH_SAYING {
            self.waits(pause.because, pause.until);
        }
    }
}

/// Reads an answer as a page of `stream`.
pub(crate) fn read_page(
    stream: &Stream,
    cursor: &Cursor,
    answer: &Answer,
    values: &Value,
    now: Timestamp,
) -> Result<PageRead, paging::Error> {
    let headers: Vec<_> = answer
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let sent_at = answer.headers.get("date").and_then(|value| date(value.to_str().ok()?));
    let answer =
        paging::Answer { body: &answer.body, headers: &headers, sent_at, asked: &answer.url };
    paging::read(stream, cursor, answer, values, now)
}

fn date(header: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(header).ok()
}
