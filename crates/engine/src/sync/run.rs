//! One run: pages from the last one that was stored to the end of the stream.
//!
//! The next page is fetched while this one is written, never more. What was written carries the
//! cursor that follows it, so wherever a run stops (a fault, a cancel, the end of the program), it
//! or the next one goes on after the last page that was written. A run that the end of the program
//! stopped stays *running* in the store and is gone on with at the next start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::connection::Connection;
use domain::connector::{Connector, Stream};
use domain::id::ConnectionId;
use domain::paging::{self, Cursor, PageRead};
use domain::record::NewRecord;
use domain::sync::{RunError, RunState, SyncRun};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::at_work::{AtWork, Waiting};
use super::failure::{Failure, NotReady};
use crate::Engine;
use crate::changes::{Notice, Noun};
use crate::outgoing::{self, Answer, ApiRequest, Because, Pause, Purpose, Watch};
use crate::store::{self, SyncPage};

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
struct Source {
    connection: Connection,
    connector: Arc<Connector>,
    stream: String,
}

impl Source {
    fn stream(&self) -> Result<&Stream, Failure> {
        let missing = || Failure::Connector(format!("it has no stream `{}`", self.stream));
        self.connector.streams.get(&self.stream).ok_or_else(missing)
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

    /// What the user is told of a failure. Where an answer could not be read, what is said of it
    /// may quote it, and it may quote what it was sent.
    async fn told(&self, run: &SyncRun, failure: &Failure) -> RunError {
        let mut told = failure.told();
        if let Failure::Paging(_) = failure
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

        let stored = self.cursor(run).await?;
        // Only the last page leaves a cursor between runs: that was written, but not the end.
        if run.counts.pages > 0 && stored.is_between_runs() {
            return Ok(());
        }
        let values = self.values(&source.connection, &source.connector, &Value::Null);
        let stream = &*source.stream()?.settled(&values).map_err(paging::Error::from)?;
        let mut cursor = stored.go_on(stream, self.now());
        at_work.begin(cursor.records(), run.expected);
        // A position of an earlier run may mean nothing to the other side any more.
        let mut may_begin_anew = !cursor.is_between_runs();

        let mut written: Option<PageRead> = None;
        loop {
            let writing = async {
                match written.take() {
                    Some(page) => self.write(run, page, at_work).await,
                    None => Ok(()),
                }
            };
            let (wrote, fetched) = tokio::join!(writing, self.fetch(&source, &cursor, at_work));
            wrote?;
            let page = match fetched {
                Err(Failure::Outgoing(error))
                    if may_begin_anew && is_about_the_position(&error) =>
                {
                    tracing::info!(run.id = %run.id, "sync run {} begins its pages anew", run.id);
                    may_begin_anew = false;
                    cursor = cursor.anew().go_on(stream, self.now());
                    at_work.begin(0, None);
                    continue;
                }
                fetched => fetched?,
            };
            may_begin_anew = false;
            if page.done {
                return Ok(self.write(run, page, at_work).await?);
            }
            cursor = page.cursor.clone();
            written = Some(page);
        }
    }

    async fn source(&self, run: &SyncRun) -> Result<Source, Failure> {
        let sync = self.inner.store.sync(run.sync).await?.sync;
        let connection = self.usable(sync.connection).await?;
        let id = &connection.connection.connector;
        let missing = || Failure::Connector(format!("`{id}` cannot be read"));
        let connector = self.inner.connectors.get(id).ok_or_else(missing)?;
        Ok(Source { connection, connector, stream: sync.stream })
    }

    async fn usable(&self, id: ConnectionId) -> Result<Connection, Failure> {
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

    async fn cursor(&self, run: &SyncRun) -> Result<Cursor, Failure> {
        let stored = self.inner.store.sync_cursor(run.sync).await?;
        // One that cannot be read is of another version: everything is read again.
        Ok(stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Asks for the page at `cursor`, for as long as the other side makes us wait.
    async fn fetch(
        &self,
        source: &Source,
        cursor: &Cursor,
        at_work: &AtWork,
    ) -> Result<PageRead, Failure> {
        // As it is now: its tokens may have been renewed since, and its user may have changed it.
        let connection = self.usable(source.connection.id).await?;
        let credential = self.credential(&connection).await?;
        let values = self.values(&connection, &source.connector, &credential.values);
        let request = paging::request(source.stream()?, cursor, &values)?;
        let request = ApiRequest::from(request);
        let purpose = format!("sync of {}", source.stream);
        let purpose = Purpose::of(&purpose);
        let name = &connection.connection.name;
        let watcher = Watcher { engine: self, at_work, name, told: AtomicU32::new(0) };
        let answer = loop {
            let call = Box::pin(self.call_watched(&connection, &request, purpose, &watcher));
            match watcher.until_slow(call).await {
                Err(outgoing::Error::RateLimited { until, .. }) => {
                    watcher.told.store(0, Ordering::Relaxed);
                    watcher.waits(Because::TooMany, until);
                    self.doze_until(until).await;
                    watcher.goes_on();
                }
                answer => break answer?,
            }
        };
        at_work.requested(answer.requests.saturating_sub(watcher.told.load(Ordering::Relaxed)));
        self.read(source, cursor.clone(), answer, values).await
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

    /// Reads an answer on a thread of its own, since that takes time and may take too much. A
    /// thread that never ends keeps its place, so that at most [`super::at_work::READERS`] do.
    async fn read(
        &self,
        source: &Source,
        cursor: Cursor,
        answer: Answer,
        values: Value,
    ) -> Result<PageRead, Failure> {
        let readers = Arc::clone(&self.inner.syncs.readers);
        let (connector, stream) = (Arc::clone(&source.connector), source.stream.clone());
        let now = self.now();
        let reading = async move {
            let place = readers.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _place = place;
                let missing = || Failure::Connector(format!("it has no stream `{stream}`"));
                let stream = connector.streams.get(&stream).ok_or_else(missing)?;
                Ok(read_page(stream, &cursor, &answer, &values, now)?)
            })
            .await
        };
        match tokio::time::timeout(READING, reading).await {
            Ok(Ok(read)) => read,
            // A panic in there is a bug of ours or of a library; the run fails like with any other.
            Ok(Err(_)) | Err(_) => Err(Failure::Reading),
        }
    }

    async fn write(&self, run: &SyncRun, page: PageRead, at_work: &AtWork) -> store::Result<()> {
        let cursor = serde_json::to_string(&page.cursor).unwrap_or_default();
        let (expected, records) = (page.total, page.records.len() as u64);
        let counts = self
            .inner
            .store
            .commit_page(SyncPage {
                run: run.id,
                records: page.records,
                cursor,
                newest_at: page.newest_at,
                expected,
                at: self.now(),
            })
            .await?;
        at_work.wrote(records, expected);
        self.note(Noun::Syncs, 0);
        if counts.inserted + counts.changed + counts.deleted > 0 {
            self.note(Noun::Records, counts.inserted);
        }
        Ok(())
    }

    pub(super) fn note(&self, noun: Noun, added: u64) {
        self.inner.changes.note(Notice { added, ..Notice::of(noun) });
    }

    /// Waits until `until` by the wall clock, which may be set, and goes on while a computer
    /// sleeps and timers do not.
    async fn doze_until(&self, until: Timestamp) {
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
struct Watcher<'a> {
    engine: &'a Engine,
    at_work: &'a AtWork,
    /// What its user calls the other side.
    name: &'a str,
    /// How many requests were counted before the answer came that counts them all.
    told: AtomicU32,
}

impl Watcher<'_> {
    fn waits(&self, because: Because, until: Timestamp) {
        let name = self.name;
        let why = match because {
            Because::Budget => format!("the calls that {name} allows are used up"),
            Because::TooMany => format!("{name} says too many requests"),
            Because::Status(status) => format!("{name} answered {status}"),
            Because::NoAnswer => format!("{name} does not answer"),
        };
        self.show(Some(Waiting { why, until: Some(until) }));
    }

    fn goes_on(&self) {
        self.show(None);
    }

    fn show(&self, waiting: Option<Waiting>) {
        if self.at_work.waiting() != waiting {
            self.at_work.wait_for(waiting);
            self.engine.note(Noun::Syncs, 0);
        }
    }

    /// Does a call; where no answer has come for a while, and nothing else is waited for, it says so.
    async fn until_slow<T>(&self, mut call: impl Future<Output = T> + Unpin) -> T {
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

/// Whether the other side may have refused the position alone.
fn is_about_the_position(error: &outgoing::Error) -> bool {
    matches!(error, outgoing::Error::Status { status: 400 | 404 | 410 | 422, .. })
}
