//! Reading a stream: from where it stands to the end of the run.
//!
//! The next page is fetched while this one is written, never more. A page's records and where the
//! sync stands after it are one write; a large page is written in parts, of which only the last
//! moves the sync on. Pages of other streams (parents, what is gone) and the files of jobs are read
//! the same way, as a [`Lane`].

use std::sync::Arc;

use domain::connector::{Deletions, Source as From, Stream};
use domain::paging::{
    self, Asked, Cursor, Differs, PageRead, Reading, Stage, Validator, is_parent, keeps_each,
    lists_changed_only, part_of_parent,
};
use domain::record::NewRecord;
use domain::sync::SyncRun;
use jiff::Timestamp;
use serde_json::Value;

use super::at_work::AtWork;
use super::failure::Failure;
use super::run::{READING, Source, Watcher, read_page};
use crate::Engine;
use crate::changes::Noun;
use crate::outgoing::{self, Answer, ApiRequest, Because, Purpose};
use crate::store::{self, ListedParent, ParentProgress, Parents, SyncPage};

/// How many records are written at once: others want to write, too.
const PART: usize = 1_000;

/// A run, and what it reads.
pub(super) struct Reader<'a> {
    pub(super) engine: &'a Engine,
    pub(super) run: &'a SyncRun,
    pub(super) source: &'a Source,
    /// As settings decide it.
    pub(super) stream: Arc<Stream>,
    pub(super) at_work: &'a AtWork,
}

/// Pages that are read one after the other.
pub(super) struct Lane {
    /// How they are read.
    pub(super) stream: Arc<Stream>,
    /// What texts may speak of beside the usual: `parent`, `job`.
    pub(super) extra: Value,
    /// What they are.
    pub(super) of: Of,
}

/// What the pages of a lane are.
pub(super) enum Of {
    /// The stream itself.
    Records,
    /// The stream for one parent, by its key.
    Child(String),
    /// The parent stream.
    Parents,
    /// The stream of what is gone.
    Gone,
    /// The file of a job that was made then.
    File(Timestamp),
}

/// A page, and what its answer says of itself; none where nothing has changed.
type Fetched = Option<(PageRead, Option<Validator>)>;

impl Reader<'_> {
    /// Reads to the end of the run.
    pub(super) async fn read(&self, mut reading: Reading, values: &Value) -> Result<(), Failure> {
        let asked = Asked::of(&self.source.connector, &self.source.stream, values);
        let differs = reading.ask(asked);
        reading.begin(&self.stream, self.run.id.get());
        if let Some(differs) = differs {
            self.begin_anew(&reading, &differs).await?;
        }
        self.at_work.begin(self.run.counts.records, self.run.expected);
        if !matches!(reading.stage, Stage::Gone(_) | Stage::Sweep) {
            match (&self.stream.source, &self.stream.parent) {
                (From::Pages(_), None) => {
                    let stream = Arc::clone(&self.stream);
                    let lane = Lane { stream, extra: Value::Null, of: Of::Records };
                    let cursor = reading.cursor.clone();
                    self.read_lane(&lane, &mut reading, cursor).await?;
                }
                (From::Pages(_), Some(parent)) => {
                    self.read_children(&mut reading, parent, values).await?;
                }
                (From::Job(job), _) => self.read_job(&mut reading, job).await?,
                (From::Journal(journal), _) => self.read_journal(&mut reading, journal).await?,
            }
        }
        if let (Stage::Gone(cursor), Deletions::Stream(id)) =
            (reading.stage.clone(), &self.stream.deletions)
        {
            let stream = self.source.settled(id, values)?;
            let lane = Lane { stream, extra: Value::Null, of: Of::Gone };
            self.read_lane(&lane, &mut reading, cursor).await?;
        }
        if reading.stage == Stage::Sweep {
            self.sweep(&mut reading).await?;
        }
        Ok(())
    }

    /// What is asked for is another than before: where the sync stood means nothing any more.
    async fn begin_anew(&self, reading: &Reading, differs: &Differs) -> store::Result<()> {
        let connector = &self.source.connector;
        let why = match differs {
            Differs::Setting(name) => {
                let title = connector.settings.get(name).map_or(name, |field| &field.title);
                format!("the setting “{title}” is another now")
            }
            Differs::Words => format!("{} is asked in other words now", connector.name),
        };
        tracing::info!(run.id = %self.run.id, "sync run {} begins anew: {why}", self.run.id);
        let note = format!("Everything is read anew, since {why}. What was read before stays.");
        self.commit(SyncPage {
            cursor: Some(reading.to_text()),
            parents: Parents::Forgotten,
            note: Some(note),
            ..self.nothing()
        })
        .await
    }

    /// A page that holds nothing.
    pub(super) fn nothing(&self) -> SyncPage {
        SyncPage::of(self.run.id, self.engine.now())
    }

    /// Reads the pages of a lane, from where they were left to their end.
    pub(super) async fn read_lane(
        &self,
        lane: &Lane,
        reading: &mut Reading,
        stored: Cursor,
    ) -> Result<(), Failure> {
        let was_in_the_middle = !stored.is_between_runs();
        let mut cursor = lane.go_on(stored, self.engine.now());
        if was_in_the_middle && cursor.is_between_runs() {
            self.lane_begins_anew(lane, reading);
        }
        // A position of an earlier run may mean nothing to the other side any more.
        let mut may_begin_anew = !cursor.is_between_runs();

        let mut written: Option<SyncPage> = None;
        loop {
            let is_first = cursor.is_between_runs();
            let known = reading.validator.clone().filter(|_| is_first && lane.is_conditional());
            let writing = async {
                match written.take() {
                    Some(page) => self.commit(page).await,
                    None => Ok(()),
                }
            };
            let (wrote, fetched) = tokio::join!(writing, self.fetch(lane, &cursor, known.as_ref()));
            wrote?;
            let (page, validator) = match fetched {
                Err(Failure::Outgoing(error))
                    if may_begin_anew && is_about_the_position(&error) =>
                {
                    tracing::info!(run.id = %self.run.id, "sync run {} begins its pages anew", self.run.id);
                    may_begin_anew = false;
                    cursor = lane.go_on(cursor.anew(), self.engine.now());
                    self.lane_begins_anew(lane, reading);
                    continue;
                }
                Ok(None) => {
                    reading.nothing_changed(&self.stream);
                    return Ok(self.commit(self.unchanged(reading)).await?);
                }
                Ok(Some(read)) => read,
                Err(failure) => return Err(failure),
            };
            may_begin_anew = false;
            let done = page.done;
            cursor = page.cursor.clone();
            let page = self.page(lane, reading, page, validator.filter(|_| is_first));
            if done {
                return Ok(self.commit(page).await?);
            }
            written = Some(page);
        }
    }

    /// What was seen of pages that begin anew counts no more. What was seen of other parents does.
    fn lane_begins_anew(&self, lane: &Lane, reading: &mut Reading) {
        if matches!(lane.of, Of::Records | Of::File(_)) {
            reading.begin_anew();
            self.at_work.begin(0, None);
        }
    }

    /// What the run says where nothing has changed.
    fn unchanged(&self, reading: &Reading) -> SyncPage {
        let name = &self.source.connection.connection.name;
        let note = format!("{name} says that nothing has changed since the last run.");
        SyncPage { cursor: Some(reading.to_text()), note: Some(note), ..self.nothing() }
    }

    /// What is written of a page, and where the sync stands after it.
    fn page(
        &self,
        lane: &Lane,
        reading: &mut Reading,
        page: PageRead,
        validator: Option<Validator>,
    ) -> SyncPage {
        let PageRead { mut records, cursor, done, total, newest_at } = page;
        let seen_by = reading.sweeping;
        let (mut parents, mut expected) = (Parents::Same, None);
        match &lane.of {
            Of::Records => {
                reading.cursor = cursor;
                // That one page of several is the same says nothing of the others.
                reading.validator = validator.filter(|_| done && lane.is_conditional());
                expected = total;
                if done {
                    reading.records_done(&self.stream);
                }
            }
            Of::Child(key) => {
                let keeps = !done || keeps_each(&self.stream);
                let kept = keeps.then(|| serde_json::to_string(&cursor).unwrap_or_default());
                let progress = if done { ParentProgress::Done } else { ParentProgress::Reading };
                parents = Parents::At { key: key.clone(), cursor: kept, progress };
                if done {
                    reading.child_done(&self.stream, &cursor);
                }
            }
            Of::Parents => {
                if let Stage::Parents { list, .. } = reading.stage {
                    let page = self.listed(std::mem::take(&mut records));
                    let only_changed = lists_changed_only(&self.stream);
                    let is_part = only_changed && lane.stream.since.is_some();
                    let is_all = done && !(is_part && reading.parents.is_some());
                    parents = Parents::Listed { list, page, only_changed, is_all };
                    reading.parents_at(cursor, done);
                }
            }
            Of::Gone => {
                records.iter_mut().for_each(|record| record.deleted = true);
                reading.gone_at(cursor, done);
            }
            Of::File(_) => {
                if let Stage::Job(job) = &mut reading.stage {
                    job.cursor = cursor;
                }
            }
        }
        SyncPage {
            records,
            cursor: Some(reading.to_text()),
            pages: 1,
            newest_at,
            expected,
            reading: seen_by,
            parents,
            ..self.nothing()
        }
    }

    /// Parents, with what is kept of them: those that the stream is read for.
    fn listed(&self, records: Vec<NewRecord>) -> Vec<ListedParent> {
        let now = self.engine.now();
        let listed = |record: NewRecord| {
            let is_one = !record.deleted && is_parent(&self.stream, &record.data, now);
            let data = is_one.then(|| part_of_parent(&self.stream, &record.data));
            ListedParent::of(record, data)
        };
        records.into_iter().map(listed).collect()
    }

    /// Asks for the page at `cursor`. Where `known` is of the same request, it asks only whether
    /// that has changed.
    async fn fetch(
        &self,
        lane: &Lane,
        cursor: &Cursor,
        known: Option<&Validator>,
    ) -> Result<Fetched, Failure> {
        let values = self.values(&lane.extra).await?;
        let asked = paging::request(&lane.stream, cursor, &values)?;
        let mut request = ApiRequest::from(asked.clone());
        request.headers.extend(known.map(|known| known.headers(&asked)).unwrap_or_default());
        let answer = self.call(&request).await?;
        if answer.status == 304 {
            return Ok(None);
        }
        let headers: Vec<_> = answer
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let whole =
            paging::Answer { body: &[], headers: &headers, sent_at: None, asked: &answer.url };
        let validator = Validator::of(&asked, whole);
        let page = self.understand(&lane.stream, cursor.clone(), answer, values).await?;
        Ok(Some((page, validator)))
    }

    /// What texts may speak of, as it is now: tokens may have been renewed since, and the user may
    /// have changed something.
    pub(super) async fn values(&self, extra: &Value) -> Result<Value, Failure> {
        let connection = self.engine.usable(self.source.connection.id).await?;
        let credential = self.engine.credential(&connection).await?;
        let mut values =
            self.engine.values(&connection, &self.source.connector, &credential.values);
        if let (Value::Object(values), Value::Object(extra)) = (&mut values, extra) {
            values.extend(extra.clone());
        }
        Ok(values)
    }

    /// Makes a call, for as long as the other side makes us wait.
    pub(super) async fn call(&self, request: &ApiRequest) -> Result<Answer, Failure> {
        let engine = self.engine;
        let connection = engine.usable(self.source.connection.id).await?;
        let purpose = format!("sync of {}", self.source.stream);
        let purpose = Purpose::of(&purpose);
        let watcher = Watcher::of(engine, self.at_work, &connection.connection.name);
        let answer = loop {
            let call = Box::pin(engine.call_watched(&connection, request, purpose, &watcher));
            match watcher.until_slow(call).await {
                Err(outgoing::Error::RateLimited { until, .. }) => {
                    watcher.told();
                    watcher.waits(Because::TooMany, until);
                    engine.doze_until(until).await;
                    watcher.goes_on();
                }
                answer => break answer?,
            }
        };
        self.at_work.requested(answer.requests.saturating_sub(watcher.told()));
        Ok(answer)
    }

    /// Reads an answer on a thread of its own, since that takes time and may take too much. A
    /// thread that never ends keeps its place, so that at most [`super::at_work::READERS`] do.
    pub(super) async fn understand(
        &self,
        stream: &Arc<Stream>,
        cursor: Cursor,
        answer: Answer,
        values: Value,
    ) -> Result<PageRead, Failure> {
        let readers = Arc::clone(&self.engine.inner.syncs.readers);
        let stream = Arc::clone(stream);
        let now = self.engine.now();
        let reading = async move {
            let place = readers.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _place = place;
                Ok(read_page(&stream, &cursor, &answer, &values, now)?)
            })
            .await
        };
        match tokio::time::timeout(READING, reading).await {
            Ok(Ok(read)) => read,
            // A panic in there is a bug of ours or of a library; the run fails like with any other.
            Ok(Err(_)) | Err(_) => Err(Failure::Reading),
        }
    }

    /// Writes a page. The first parts of a large one leave the sync where it is: cut short there,
    /// they are read once more, and are the same.
    pub(super) async fn commit(&self, mut page: SyncPage) -> store::Result<()> {
        while page.records.len() > PART {
            let rest = page.records.split_off(PART);
            let records = std::mem::replace(&mut page.records, rest);
            let reading = page.reading;
            self.write(SyncPage { records, reading, ..self.nothing() }).await?;
        }
        self.write(page).await
    }

    async fn write(&self, page: SyncPage) -> store::Result<()> {
        let (expected, records) = (page.expected, page.records.len() as u64);
        let counts = self.engine.inner.store.commit_page(page).await?;
        self.at_work.wrote(records, expected);
        self.engine.note(Noun::Syncs, 0);
        if counts.inserted + counts.changed + counts.deleted > 0 {
            self.engine.note(Noun::Records, counts.inserted);
        }
        Ok(())
    }
}

impl Lane {
    /// Where its pages are gone on with, or begin.
    fn go_on(&self, cursor: Cursor, now: Timestamp) -> Cursor {
        match self.of {
            Of::File(made) if cursor.is_between_runs() => cursor.of_files(made),
            Of::File(_) => cursor,
            _ => cursor.go_on(&self.stream, now),
        }
    }

    /// Whether the other side can say of its pages that nothing has changed.
    fn is_conditional(&self) -> bool {
        self.stream.conditional && matches!(self.of, Of::Records)
    }
}

/// Whether the other side may have refused the position alone.
pub(super) fn is_about_the_position(error: &outgoing::Error) -> bool {
    matches!(error, outgoing::Error::Status { status: 400 | 404 | 410 | 422, .. })
}
