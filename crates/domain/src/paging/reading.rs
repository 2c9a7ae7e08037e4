//! Where a sync stands: all that is kept of it between two commits, beside its records.
//!
//! Pages are the ordinary case, and a [`Cursor`] is all that they need. Other words of a connector
//! need more: which stage a run has come to (parents are listed before their children are read,
//! what is gone is looked for after what is there), a job at the other side that is under way, the
//! validators of the last answer. What is kept is small whatever the size of the account: parents
//! and what was seen are rows of the store.
//!
//! What is asked for is part of it: where that is another by now, the position means nothing, and
//! everything is read anew. See [`Asked`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::mark::Mark;
use super::{Answer, Cursor, Error, PageRequest, Position};
use crate::connector::{
    Ask, Begin, Connector, Deletions, Job, Journal, Paging, Since, SinceBy, Source, Stream,
};
use crate::expression::Expression;
use crate::json::Json;
use crate::raw;
use crate::text::clean;

/// How many numbers there are for the readings of one run.
const READINGS_OF_A_RUN: i64 = 1 << 16;

/// The longest validator that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 1_024;

/// Where a sync stands. Opaque outside of the rules for reading; stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Where in the pages of the stream, or where the next run begins. Of a stream that is read for
    /// each record of another: since when, for all of them together.
    pub cursor: Cursor,
    /// What a run has come to.
    #[serde(default, skip_serializing_if = "Stage::is_records")]
    pub stage: Stage,
    /// Where the stream of what is gone is gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Cursor>,
    /// Where the list of parents is gone on with, where only changed ones are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<Cursor>,
    /// By what the other side can tell that nothing has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<Validator>,
    /// The number of the full reading under way, where what it does not bring is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweeping: Option<i64>,
    /// Whether it was read to the end once.
    #[serde(default)]
    complete: bool,
    /// The newest number that was given to a full reading or a list of parents: later ones have
    /// higher numbers, whatever the clock says.
    #[serde(default)]
    number: i64,
    /// The run that reads it, or read it last, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
    /// Whether that one has read it to the end.
    #[serde(default)]
    ended: bool,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<Asked>,
}

/// What a run has come to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its records are read, or nothing is.
    #[default]
    Records,
    /// The records of the parent stream are listed.
    Parents {
        /// Which list it is: parents of an earlier one are gone.
        list: i64,
        /// When it began.
        began: Timestamp,
        /// Where in their pages.
        cursor: Cursor,
    },
    /// Records are read for each parent that is still to be done.
    Children(Children),
    /// A job is under way, or its files are read.
    Job(JobAt),
    /// The stream of what is gone is read.
    Gone(Cursor),
    /// What a full reading did not bring is looked for.
    Sweep,
}

impl Stage {
    fn is_records(&self) -> bool {
        *self == Self::Records
    }
}

/// How far reading for each parent has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Children {
    /// When the list of parents began: nothing newer than this is known of all of them.
    began: Timestamp,
    /// The newest of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reached: Option<Mark>,
    /// For how many it was read.
    pub read: u64,
    /// For how many it could not be.
    pub refused: u64,
}

/// A job at the other side. The addresses of its files are not kept: they may be secrets, and they
/// end; whoever goes on asks after the job once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAt {
    /// Its id, where it has one.
    #[serde(default)]
    pub id: Value,
    /// When it was made.
    pub made: Timestamp,
    /// How many of its files were read.
    #[serde(default)]
    pub files: usize,
    /// Where in the pages of its file.
    #[serde(default)]
    pub cursor: Cursor,
}

/// By what the other side can tell that nothing has changed: what it said with the last answer to
/// the same request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// A digest of the request.
    request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

impl Validator {
    /// What an answer to `request` says of itself; none where it says nothing.
    pub fn of(request: &PageRequest, answer: Answer<'_>) -> Option<Self> {
        let kept = |name| {
            let value = answer.header(name)?.trim();
            let fits = !value.is_empty() && value.len() <= LONGEST_VALIDATOR;
            fits.then(|| value.to_owned())
        };
        let (etag, last_modified) = (kept("etag"), kept("last-modified"));
        let says = etag.is_some() || last_modified.is_some();
        says.then(|| Self { request: request_digest(request), etag, last_modified })
    }

    /// The headers that ask whether anything has changed, where `request` is the one that it is of.
    pub fn headers(&self, request: &PageRequest) -> Vec<(String, String)> {
        if self.request != request_digest(request) {
            return Vec::new();
        }
        let header = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| (name.to_owned(), value.clone()))
        };
        let etag = header("if-none-match", &self.etag);
        let modified = header("if-modified-since", &self.last_modified);
        etag.into_iter().chain(modified).collect()
    }
}

/// Of requests that are made in one program and the next: a difference costs one full answer.
fn request_digest(request: &PageRequest) -> String {
    short(format!("{request:?}").as_bytes())
}

fn short(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..12])
}

/// What is asked for: the words of the connector, and the settings that they speak of. Sums alone
/// are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    words: String,
    settings: BTreeMap<String, String>,
}

/// What is asked for now and was not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Differs {
    /// A setting of the connection, by its name.
    Setting(String),
    /// The words of the connector.
    Words,
}

impl Asked {
    /// What a stream of a connector asks for with the settings in `values`.
    pub fn of(connector: &Connector, id: &str, values: &Value) -> Self {
        let mut words = Words::default();
        connector.base_url.iter().for_each(|url| words.text(url.text()));
        connector.headers.values().for_each(|text| words.text(text.text()));
        let Some(stream) = connector.streams.get(id) else { return words.asked(values) };
        words.stream(stream);
        let parent = stream.parent.as_ref();
        let gone = match &stream.deletions {
            Deletions::Stream(gone) => Some(gone),
            Deletions::None | Deletions::Sweep => None,
        };
        for other in parent.map(|it| &it.stream).into_iter().chain(gone) {
            words.word(other);
            connector.streams.get(other).into_iter().for_each(|stream| words.stream(stream));
        }
        if let Some(when) = parent.and_then(|parent| parent.when.as_ref()) {
            words.word(when.text());
        }
        words.asked(values)
    }

    fn differs(&self, now: &Self) -> Option<Differs> {
        let names = self.settings.keys().chain(now.settings.keys());
        let setting = |name: &&String| self.settings.get(*name) != now.settings.get(*name);
        // Words of another program may speak of other settings.
        if self.words != now.words {
            return Some(Differs::Words);
        }
        names.into_iter().find(setting).map(|name| Differs::Setting(name.clone()))
    }
}

/// The words of a stream, and the settings in them.
#[derive(Default)]
struct Words {
    digest: Sha256,
    settings: Vec<String>,
    /// Whether something speaks of all settings at once.
    all: bool,
}

impl Words {
    fn word(&mut self, word: &str) {
        self.digest.update((word.len() as u64).to_le_bytes());
        self.digest.update(word);
    }

    fn text(&mut self, text: &str) {
        self.word(text);
        self.settings_in(text, "settings");
    }

    fn expression(&mut self, text: &str) {
        self.word(text);
        self.settings_in(text, "$settings");
    }

    /// The names that stand behind `word` and a point.
    fn settings_in(&mut self, text: &str, word: &str) {
        for part in text.split(word).skip(1) {
            let name: String = part
                .strip_prefix('.')
                .unwrap_or_default()
                .chars()
                .take_while(|it| it.is_ascii_alphanumeric() || *it == '_')
                .collect();
            if name.is_empty() {
                self.all = true;
            } else {
                self.settings.push(name);
            }
        }
    }

    fn stream(&mut self, stream: &Stream) {
        for ask in stream.asks() {
            self.ask(ask);
        }
        self.expression(stream.records.text());
        stream.key.iter().for_each(|key| self.expression(key.text()));
        stream.add.values().for_each(|text| self.text(text.text()));
        if let Some(since) = &stream.since {
            self.since(since);
        }
        let choices = stream.choices.settings();
        let choices = choices.into_iter().map(|(name, _)| name.to_owned());
        self.settings.extend(choices);
        stream.names_as_texts().iter().for_each(|text| self.text(text));
    }

    fn since(&mut self, since: &Since) {
        self.expression(since.field.text());
        since.text.iter().for_each(|text| self.text(text.text()));
        if let Some(Begin::At(text)) = &since.begin {
            self.text(text);
        }
    }

    fn ask(&mut self, ask: &Ask) {
        match ask {
            Ask::Rest(call) => {
                self.word(call.method.as_str());
                call.query.keys().for_each(|name| self.word(name));
            }
            Ask::Graphql(graphql) => self.word(&graphql.text),
        }
        ask.texts().into_iter().for_each(|text| self.text(text.text()));
    }

    fn asked(self, values: &Value) -> Asked {
        let settings = &values["settings"];
        let named = self.settings.into_iter();
        let all = settings.as_object().filter(|_| self.all).into_iter().flatten();
        let names = named.chain(all.map(|(name, _)| name.clone()));
        let settings =
            names.map(|name| (name.clone(), short(settings[&name].to_string().as_bytes())));
        Asked { settings: settings.collect(), words: hex::encode(&self.digest.finalize()[..12]) }
    }
}

impl Reading {
    /// The one in `text`. One that cannot be read is of another version: everything is read again.
    pub fn stored(text: &str) -> Self {
        let whole = serde_json::from_str(text).ok();
        let of_pages = || {
            let cursor: Cursor = serde_json::from_str(text).ok()?;
            let complete = cursor.since.is_some() || cursor.resume.is_some();
            Some(Self { cursor, complete, ..Self::default() })
        };
        whole.or_else(of_pages).unwrap_or_default()
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it stands between two runs.
    pub fn is_between_runs(&self) -> bool {
        self.stage.is_records() && self.cursor.is_between_runs()
    }

    /// Takes `asked` for what is asked for; says what is another than before. Then everything is
    /// read anew.
    pub fn ask(&mut self, asked: Asked) -> Option<Differs> {
        let differs = self.asked.as_ref().and_then(|before| before.differs(&asked));
        if differs.is_some() {
            *self = Self { run: self.run, ..Self::default() };
        }
        self.asked = Some(asked);
        differs
    }

    /// Whether a run has read it to the end, of which `pages` are written: its last page may have
    /// been written, and its end not noted.
    pub fn is_ended_by(&self, run: i64, pages: u64) -> bool {
        match self.run {
            Some(reader) => reader == run && self.ended,
            // Of an older program: only the last page left a cursor between runs.
            None => pages > 0 && self.is_between_runs(),
        }
    }

    /// Begins a run, or goes on with it or with what an earlier one has left.
    pub fn begin(&mut self, stream: &Stream, run: i64) {
        if self.run != Some(run) {
            (self.run, self.ended) = (Some(run), false);
        }
        if self.is_between_runs() {
            self.sweeping = self.is_full(stream).then(|| self.next_number());
        }
    }

    /// Begins the pages anew: what was seen of them counts no more.
    pub fn begin_anew(&mut self) {
        if self.sweeping.is_some() {
            self.sweeping = Some(self.next_number());
        }
    }

    /// Runs are numbered in order, and one may begin several times.
    fn next_number(&mut self) -> i64 {
        let least = self.run.unwrap_or_default().saturating_mul(READINGS_OF_A_RUN);
        self.number = least.max(self.number.saturating_add(1));
        self.number
    }

    /// Whether a run that begins brings everything, and what it does not bring is gone.
    fn is_full(&self, stream: &Stream) -> bool {
        let since_the_beginning = match stream.since.as_ref().and_then(|it| it.begin.as_ref()) {
            Some(Begin::Ago(_)) => false,
            Some(Begin::At(_)) | None => true,
        };
        let resumes = matches!(stream.page, Some(Paging::Version(_) | Paging::Export(_)));
        let only_changed = stream.parent.as_ref().is_some_and(|parent| parent.changed);
        let is_partial = stream.since.is_some() || resumes || only_changed;
        stream.deletions == Deletions::Sweep
            && since_the_beginning
            && (!is_partial || !self.complete)
    }

    /// All records were read: goes on to what is gone, or ends the run.
    pub fn records_done(&mut self, stream: &Stream) {
        self.stage = match (&stream.deletions, self.sweeping) {
            (Deletions::Stream(_), _) => Stage::Gone(self.gone.take().unwrap_or_default()),
            (Deletions::Sweep, Some(_)) => Stage::Sweep,
            (Deletions::Sweep | Deletions::None, _) => Stage::Records,
        };
        if self.stage.is_records() {
            self.end();
        }
    }

    /// Nothing has changed: there is nothing to read, and nothing that was not brought.
    pub fn nothing_changed(&mut self, stream: &Stream) {
        self.sweeping = None;
        self.records_done(stream);
    }

    /// A page of what is gone was read.
    pub fn gone_at(&mut self, cursor: Cursor, done: bool) {
        if done {
            self.gone = Some(cursor);
            self.end();
        } else {
            self.stage = Stage::Gone(cursor);
        }
    }

    /// The run has ended.
    pub fn end(&mut self) {
        (self.stage, self.sweeping) = (Stage::Records, None);
        (self.complete, self.ended) = (true, true);
    }

    /// The run has ended, and what it brought is not believed.
    pub fn end_in_doubt(&mut self) {
        self.end();
        (self.validator, self.ended) = (None, false);
    }

    /// Begins to list the parents of a stream at `now`, where that is to be done.
    pub fn list_parents(&mut self, stream: &Stream, now: Timestamp) {
        if self.stage.is_records() {
            let kept = self.parents.clone().filter(|_| lists_changed_only(stream));
            let list = self.next_number();
            self.stage = Stage::Parents { list, began: now, cursor: kept.unwrap_or_default() };
        }
    }

    /// A page of parents was listed.
    pub fn parents_at(&mut self, at: Cursor, done: bool) {
        let Stage::Parents { began, cursor, .. } = &mut self.stage else { return };
        if !done {
            *cursor = at;
            return;
        }
        let began = *began;
        self.parents = Some(at);
        self.stage = Stage::Children(Children { began, reached: None, read: 0, refused: 0 });
    }

    /// Reading for the parents that are due begins, or goes on: those that were refused are due
    /// still, and are asked for and counted once more.
    pub fn children_begin(&mut self) {
        if let Stage::Children(children) = &mut self.stage {
            children.refused = 0;
        }
    }

    /// Where reading for a parent begins, of which `kept` is stored. One that was never read before
    /// is read from the beginning.
    pub fn child_begins(&self, kept: Option<&str>, was_read: bool) -> Cursor {
        let kept = kept.and_then(|text| serde_json::from_str(text).ok());
        kept.unwrap_or_else(|| match was_read {
            true => Cursor { since: self.cursor.since.clone(), ..Cursor::default() },
            false => Cursor::default(),
        })
    }

    /// A parent was read to the end, which leaves `end`.
    pub fn child_done(&mut self, stream: &Stream, end: &Cursor) {
        let Stage::Children(children) = &mut self.stage else { return };
        children.read += 1;
        if let Some(since) = &stream.since {
            let reached = children.reached.take();
            children.reached = Mark::newer(reached, end.since.clone(), &since.format);
        }
    }

    /// A parent could not be read. What is not seen of it is not gone.
    pub fn child_refused(&mut self) {
        if let Stage::Children(children) = &mut self.stage {
            children.refused += 1;
            self.sweeping = None;
        }
    }

    /// All parents are done. What changed while they were read may have changed for one that was
    /// read already.
    pub fn children_done(&mut self, stream: &Stream) {
        let Stage::Children(children) = &self.stage else { return };
        if let Some(since) = &stream.since {
            let began = Mark::of_time(children.began);
            let reached = children.reached.clone().map(|reached| {
                let is_later = since.format.is_time() && reached.time() > began.time();
                if is_later { began } else { reached }
            });
            self.cursor.since = Mark::newer(self.cursor.since.take(), reached, &since.format);
        }
        self.records_done(stream);
    }
}

/// Whether only those parents are listed that have changed.
pub fn lists_changed_only(stream: &Stream) -> bool {
    stream.parent.as_ref().is_some_and(|parent| parent.changed)
}

/// Whether where reading stands is kept for each parent, and not for all together: what only grows
/// and is no time grows for each by itself.
pub fn keeps_each(stream: &Stream) -> bool {
    let each = stream.parent.as_ref().is_some_and(|parent| parent.cursor_each);
    let is_time = stream.since.as_ref().is_none_or(|since| since.format.is_time());
    let resumes = matches!(stream.page, Some(Paging::Version(_) | Paging::Export(_)));
    each || !is_time || resumes
}

/// Whether a record of the parent stream is one that `stream` is read for.
pub fn is_parent(stream: &Stream, data: &str, now: Timestamp) -> bool {
    let Some(when) = stream.parent.as_ref().and_then(|parent| parent.when.as_ref()) else {
        return true;
    };
    Json::parse(data.as_bytes()).is_ok_and(|record| when.holds(&record, now))
}

/// The part of a parent that the texts of `stream` speak of.
pub fn part_of_parent(stream: &Stream, data: &str) -> String {
    let texts = stream.asks().into_iter().flat_map(Ask::texts);
    let texts = texts
        .chain(stream.add.values())
        .chain(stream.since.iter().filter_map(|since| since.text.as_ref()));
    let mut members = Vec::new();
    for name in texts.flat_map(|text| text.names()) {
        match name.strip_prefix("parent.") {
            Some(path) => members.push(path.split('.').next().unwrap_or(path).to_owned()),
            None if name == "parent" => return data.to_owned(),
            None => {}
        }
    }
    members.sort();
    members.dedup();
    let member = |name: String| {
        let value = raw::at(data, &[name.as_str().into()])?;
        Some(format!("{}:{value}", Value::String(name)))
    };
    format!("{{{}}}", members.into_iter().filter_map(member).collect::<Vec<_>>().join(","))
}

/// What the answer to the question after a job says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It is under way.
    UnderWay,
    /// It is done, and its files have these addresses, where they have some.
    Done(Vec<String>),
    /// It has failed, and why.
    Failed(String),
}

/// The id of a job, in the answer that made it.
///
/// # Errors
///
/// When the answer is not JSON, or has no id where the connector says that there is one.
pub fn job_id(job: &Job, body: &[u8], now: Timestamp) -> Result<Value, Error> {
    let Some(at) = &job.id else { return Ok(Value::Null) };
    let body = Json::parse(body)?;
    let missing = || Error::NoRecords(at.text().into());
    let id = at.first(&body, now)?.filter(|id| !id.is_null()).ok_or_else(missing)?;
    serde_json::from_str(&id.to_string()).map_err(|_| missing())
}

/// What an answer says of a job.
///
/// # Errors
///
/// When the answer is not JSON, or the connector's expressions do not fit it.
pub fn job_state(job: &Job, body: &[u8], now: Timestamp) -> Result<JobState, Error> {
    let body = Json::parse(body)?;
    if job.failed.as_ref().is_some_and(|failed| failed.holds(&body, now)) {
        let why = job.why.as_ref().and_then(|why| why.text_of(&body, now));
        return Ok(JobState::Failed(clean(&why.unwrap_or_default(), 300)));
    }
    if !job.done.holds(&body, now) {
        return Ok(JobState::UnderWay);
    }
    let mut urls = Vec::new();
    for found in job.urls.iter().map(|urls| urls.all(&body, now)).collect::<Result<Vec<_>, _>>()? {
        for value in found {
            match value.as_array() {
                Some(list) => urls.extend(list.filter_map(|url| url.as_text())),
                None => urls.extend(value.as_text()),
            }
        }
    }
    urls.retain(|url: &String| !url.is_empty());
    Ok(JobState::Done(urls))
}

/// An entry of a journal: the address of its file, and where to go on after it.
///
/// # Errors
///
/// When the answer is not JSON, or lacks one of the two.
pub fn journal_entry(
    journal: &Journal,
    body: &[u8],
    now: Timestamp,
) -> Result<(String, Value), Error> {
    let body = Json::parse(body)?;
    let missing = |at: &Expression| Error::NoRecords(at.text().into());
    let url = journal.url.text_of(&body, now).filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| missing(&journal.url))?;
    let offset = journal.offset.first(&body, now)?.filter(|offset| !offset.is_null());
    let offset = offset.ok_or_else(|| missing(&journal.offset))?;
    let offset = serde_json::from_str(&offset.to_string());
    Ok((url, offset.map_err(|_| missing(&journal.offset))?))
}

impl Cursor {
    /// Where the files of a job begin that was made at `made`: what it holds is as of then.
    pub fn of_files(&self, made: Timestamp) -> Self {
        let since = self.since.clone();
        Self { since, began: Some(made), ..Self::default() }
    }

    /// The same after one file, for the next.
    pub fn between_files(self, made: Timestamp) -> Self {
        Self { began: Some(made), ..self }
    }

    /// Where the next run begins, after all files.
    pub fn after_files(self) -> Self {
        Self { since: self.since, ..Self::default() }
    }

    /// Where a journal is gone on with; none at its beginning.
    pub fn offset(&self) -> Option<&Value> {
        match &self.position {
            Position::Cursor(at) => Some(at),
            _ => self.resume.as_ref(),
        }
    }

    /// A journal was read up to `offset`, in the middle of a run.
    #[must_use]
    pub fn at_offset(self, offset: Value, records: u64) -> Self {
        Self {
            position: Position::Cursor(offset),
            pages: self.pages + 1,
            records: self.records + records,
            ..self
        }
    }

    /// A journal was read to its end.
    #[must_use]
    pub fn end_of_journal(self) -> Self {
        Self { resume: self.offset().cloned(), ..Self::default() }
    }
}

/// The stream of a job's files: what they hold is read as pages are, but how only what changed is
/// asked for was said when the job was made.
pub fn stream_of_files(stream: &Stream) -> Stream {
    let mut files = stream.clone();
    if let Source::Job(job) = &stream.source
        && job.download.is_none()
    {
        files.page = None;
    }
    if let Some(since) = &mut files.since {
        (since.by, since.text) = (SinceBy::Text, None);
        (since.until, since.window, since.cap) = (None, None, None);
    }
    files
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connector(streams: &str) -> Connector {
        let text = format!(
            "format: 1\nid: test\nname: Test\nstatus: documented\n\
             settings: {{ shop: {{ title: Shop, pattern: '[a-z]+' }}, page: {{ title: Page, default: '9' }}, zone: {{ title: Zone }} }}\n\
             base_url: 'https://{{{{ settings.shop }}}}.example'\nauth: [{{ none: {{}} }}]\nstreams:\n{streams}"
        );
        let loaded = crate::connector::load("connector.yaml", &text, &|_| None);
        loaded.unwrap_or_else(|error| panic!("{error}"))
    }

    fn stream(text: &str) -> Stream {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_cursor_of_an_older_program_is_gone_on_with() {
        let reading = Reading::stored(r#"{"since":"2026-03-01T00:00:00Z"}"#);

        assert!(reading.is_between_runs() && reading.complete);
        assert_eq!(Reading::stored(&reading.to_text()), reading);
        assert_eq!(Reading::stored("{"), Reading::default());
    }

    #[test]
    fn another_setting_that_is_spoken_of_begins_anew_and_no_other_does() {
        let connector = connector(
            "  orders: { get: /orders, query: { n: '{{ settings.page }}' }, records: ., key: .id }",
        );
        let asked = |shop: &str, page: &str, zone: &str| {
            let settings = json!({ "shop": shop, "page": page, "zone": zone });
            Asked::of(&connector, "orders", &json!({ "settings": settings }))
        };
        let mut reading = Reading::stored(r#"{"since":"2026-03-01T00:00:00Z"}"#);

        assert_eq!(reading.ask(asked("a", "9", "x")), None);
        assert!(reading.cursor.since.is_some());
        assert_eq!(reading.ask(asked("a", "9", "y")), None);
        assert_eq!(reading.ask(asked("b", "9", "y")), Some(Differs::Setting("shop".into())));
        assert_eq!(reading.cursor, Cursor::default());
        assert_eq!(reading.ask(asked("b", "8", "y")), Some(Differs::Setting("page".into())));
        assert_eq!(reading.ask(asked("b", "8", "y")), None);
    }

    #[test]
    fn other_words_begin_anew_also_those_of_the_parent() {
        let of = |path: &str, when: &str| {
            let connector = connector(&format!(
                "  shops: {{ get: {path}, records: ., key: .id }}\n  \
                 orders: {{ get: '/o/{{{{ parent.id }}}}', parent: {{ stream: shops, when: {when} }}, records: ., key: .id }}"
            ));
            Asked::of(&connector, "orders", &json!({ "settings": { "shop": "a" } }))
        };
        let mut reading = Reading::default();
        reading.ask(of("/shops", ".open"));

        assert_eq!(reading.ask(of("/shops", ".open")), None);
        assert_eq!(reading.ask(of("/stores", ".open")), Some(Differs::Words));
        assert_eq!(reading.ask(of("/stores", ".closed")), Some(Differs::Words));
    }

    #[test]
    fn only_a_reading_that_brings_everything_sweeps() {
        let all = stream("{ get: /a, records: ., key: .id, deletions: sweep }");
        let since = stream(
            "{ get: /a, records: ., key: .id, deletions: sweep, since: { param: s, field: .at } }",
        );
        let ago = stream(
            "{ get: /a, records: ., key: .id, deletions: sweep, since: { param: s, field: .at, begin: 30d } }",
        );
        let sweeps = |stream: &Stream, complete: bool| {
            let mut reading = Reading { complete, ..Reading::default() };
            reading.begin(stream, 1);
            reading.sweeping.is_some()
        };

        assert!(sweeps(&all, false) && sweeps(&all, true));
        assert!(sweeps(&since, false) && !sweeps(&since, true));
        assert!(!sweeps(&ago, false));
    }

    #[test]
    fn what_changed_while_parents_were_read_is_asked_for_again() {
        let stream = stream(
            "{ get: '/{{ parent.id }}', parent: p, records: ., key: .id, since: { param: s, field: .at } }",
        );
        let mut reading = Reading::default();
        reading.list_parents(&stream, at(1_000));
        reading.parents_at(Cursor::default(), true);
        let end = |second| Cursor { since: Some(Mark::of_time(at(second))), ..Cursor::default() };

        reading.child_done(&stream, &end(900));
        reading.child_done(&stream, &end(1_100));
        reading.children_done(&stream);

        assert_eq!(reading.cursor.since, Some(Mark::of_time(at(1_000))));
        assert!(reading.is_between_runs());
        assert_eq!(reading.child_begins(None, true).since, reading.cursor.since);
        assert_eq!(reading.child_begins(None, false), Cursor::default());
    }

    #[test]
    fn of_a_parent_is_kept_what_is_spoken_of() {
        let part = |text: &str| {
            part_of_parent(&stream(text), r#"{"id":9007199254740993,"n":"x","big":[1]}"#)
        };

        let some = "{ get: '/{{ parent.id }}', add: { n: '{{ parent.n }}' }, records: ., key: .id, parent: p }";
        assert_eq!(part(some), r#"{"id":9007199254740993,"n":"x"}"#);
        let all = "{ post: /a, json: '{{ parent }}', records: ., key: .id, parent: p }";
        assert_eq!(part(all), r#"{"id":9007199254740993,"n":"x","big":[1]}"#);
    }

    #[test]
    fn a_validator_is_for_one_request() {
        let request = |url: &str| PageRequest::Url { url: url.into(), headers: Vec::new() };
        let asked = "https://a.example/".parse().unwrap();
        let headers = [("etag", "W/\"1\""), ("last-modified", "Mon, 02 Mar 2026 09:00:00 GMT")];
        let answer = Answer { body: b"", headers: &headers, sent_at: None, asked: &asked };

        let validator = Validator::of(&request("https://a.example/1"), answer).unwrap();

        let sent = validator.headers(&request("https://a.example/1"));
        assert_eq!(sent[0], ("if-none-match".into(), "W/\"1\"".into()));
        assert_eq!(sent[1].0, "if-modified-since");
        assert!(validator.headers(&request("https://a.example/2")).is_empty());
        assert_eq!(Validator::of(&request("x"), Answer { headers: &[], ..answer }), None);
    }
}
