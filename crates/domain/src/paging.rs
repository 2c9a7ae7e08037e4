//! Reading a stream page by page: what to ask for next, and what an answer holds.
//!
//! A [`Cursor`] is all that is kept between two pages, so a run that is stopped anywhere goes on
//! from the last page that was stored. When the pages end, it becomes the beginning of the next
//! run: the newest that was seen, but not later than the pages began, since what changed
//! meanwhile may have changed on a page that was read already. What an answer says is noticed, not
//! obeyed: a position that does not advance, a page that comes again, pages without an end and an
//! address on another host are faults of the run.
//!
//! A run is one round of pages, or several: where the other side gives only so much time or so
//! many records at once, a round covers a part of the time, and the next begins where it ended.
//!
//! Records keep the text they came as. Expressions that are plain paths are answered from that
//! text; it is read into values only for others.

mod mark;
mod reading;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use url::Url;

use crate::answer;
use crate::connector::{
    Ask, Begin, Beyond, Cap, Goes, Paging, Rendered, Since, SinceBy, Source, Stop, Stream, Until,
    Which,
};
use crate::expression::{Expression, RunError};
use crate::json::{self, Json};
use crate::raw;
use crate::record::{KEY_SEPARATOR, NewRecord};
use crate::template::{self, Place};
use crate::text::clean;

use self::mark::Mark;
pub use self::mark::read_time;
pub use self::reading::{
    Asked, Children, Differs, JobAt, JobState, Reading, Stage, Validator, is_parent, job_id,
    job_state, journal_entry, keeps_each, lists_changed_only, part_of_parent, stream_of_files,
};

/// How many values a page may hold.
const PAGE_VALUES: usize = 2_000_000;

/// More pages than this in one run are taken for pages without an end.
pub const MAX_PAGES: u64 = 1_000_000;

/// More pages than this in a row without a record are taken for pages without an end: some have a
/// few, where what is asked for is looked for page by page on the other side.
pub const MAX_EMPTY: u64 = 1_000;

/// How long after they began pages are gone on with. Cursors of providers do not live for ever, and
/// what was read first is out of date by then.
const LONGEST_READING: SignedDuration = SignedDuration::from_hours(24);

/// A round that would cover less time than this is not halved any more.
const SHORTEST_ROUND: SignedDuration = SignedDuration::from_secs(1);

/// Where a run of a stream is. Opaque outside of this module; stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The newest of the last complete run: what came later is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Mark>,
    /// What the other side gave to begin the next run with, where it gives that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resume: Option<Value>,
    /// Where in the pages of the run at work.
    #[serde(default)]
    position: Position,
    /// The newest that this run has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Mark>,
    /// When the first page was sent, by the clock of whoever sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
    /// Where the round at work ends, and the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round: Option<Round>,
    /// How many pages this run has read.
    #[serde(default)]
    pages: u64,
    /// How many records were on them.
    #[serde(default)]
    records: u64,
    /// How many pages before this one had none, in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    empty: u64,
    /// An earlier position, to notice a run that goes round in a circle: after Brent, it is moved
    /// up whenever the number of pages reaches a power of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Position>,
    /// A digest of the keys of the last page, to notice one that comes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<String>,
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A part of a run, where one round of pages does not cover it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    /// Where it begins, where that is not where the run begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Mark>,
    /// Where it ends, where the other side is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Where the run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    /// How many records this round has brought.
    #[serde(default)]
    records: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    #[default]
    First,
    Cursor(Value),
    Page(u64),
    Offset(u64),
    Key(Value),
    Url(Url),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum PageRequest {
    /// A request of the connector.
    Ask(Box<Rendered>),
    /// An address that came from the other side, on the host that was asked before. Whether that
    /// may still be called is for the caller to check. It takes the headers of the request.
    Url {
        /// The address.
        url: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The bytes, as they came.
    pub body: &'a [u8],
    /// Its headers, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// When it was sent, as its `date` header says.
    pub sent_at: Option<Timestamp>,
    /// The address that was asked.
    pub asked: &'a Url,
}

impl<'a> Answer<'a> {
    /// The first header of this name.
    fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRead {
    /// Its records.
    pub records: Vec<NewRecord>,
    /// Where to go on: within this run, or, when it is done, where the next run begins.
    pub cursor: Cursor,
    /// Whether this was the last page.
    pub done: bool,
    /// How many records there will be in all, where the answer says so.
    pub total: Option<u64>,
    /// The newest time that a record of this run carried.
    pub newest_at: Option<Timestamp>,
}

/// What is wrong with an answer, or with what the connector says of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The settings do not decide what they have to.
    #[error(transparent)]
    Unsettled(#[from] crate::connector::Unsettled),
    /// It is a page for people.
    #[error("the answer is a web page instead of data")]
    WebPage,
    /// It is not JSON.
    #[error("the answer is {0}")]
    Json(#[from] json::Error),
    /// It is not of its format.
    #[error("the answer cannot be read: {0}")]
    Format(#[from] answer::Error),
    /// There is nothing where the records should be.
    #[error("the answer has no records at `{0}`")]
    NoRecords(String),
    /// A record lacks its key, or the key is no text or number.
    #[error("record {number} of the page has no key at `{key}`")]
    NoKey {
        /// Which one, from 1.
        number: usize,
        /// Where it was looked for.
        key: String,
    },
    /// The next page is the one that was just read.
    #[error("the next page is the same as this one")]
    Stuck,
    /// A page came twice in a row.
    #[error("the same page came twice in a row")]
    Repeated,
    /// The next page is one that was read some pages ago.
    #[error("the pages go round in a circle")]
    Circle,
    /// The next page is said to be somewhere that is no address.
    #[error("`{0}` is not the address of a next page")]
    Address(String),
    /// The next page is said to be on another host.
    #[error("the next page is said to be on another host, {0}")]
    OtherHost(String),
    /// More than [`MAX_PAGES`].
    #[error("there are more than {MAX_PAGES} pages")]
    Endless,
    /// More than [`MAX_EMPTY`] in a row have no record.
    #[error("more than {MAX_EMPTY} pages in a row have no record")]
    Empty,
    /// More records changed at one time than the other side gives at once.
    #[error("more than {0} records changed at the same time, which is more than can be asked for")]
    TooMany(u64),
    /// The stream is not read page by page.
    #[error("this stream is not read page by page")]
    NoPages,
    /// An expression of the connector does not fit the answer.
    #[error(transparent)]
    Expression(#[from] RunError),
    /// A text of the connector cannot be filled in.
    #[error(transparent)]
    Template(#[from] template::Error),
}

impl Cursor {
    /// How many pages the run at work has read.
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// How many records were on them.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Where to go on at `now`: here, unless the pages began too long ago or the connector has
    /// changed its way of paging. Then they begin anew. A run that begins is told its rounds.
    #[must_use]
    pub fn go_on(self, stream: &Stream, now: Timestamp) -> Self {
        let fresh = self.began.is_none_or(|began| now.duration_since(began) <= LONGEST_READING);
        let session = matches!(stream.page, Some(Paging::Scroll(_)));
        if fresh && !session && fits(stream.page.as_ref(), &self.position) && self.round.is_some() {
            return self;
        }
        if fresh && !session && fits(stream.page.as_ref(), &self.position) && self.pages > 0 {
            return self;
        }
        let begins = self.anew();
        let round = stream.since.as_ref().and_then(|since| begins.first_round(since, now));
        Self { round, ..begins }
    }

    /// The first page of the same run.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { since: self.since, resume: self.resume, ..Self::default() }
    }

    /// Whether it stands between two runs rather than between two pages of one.
    pub fn is_between_runs(&self) -> bool {
        self.position == Position::First && self.pages == 0
    }

    /// The first round of a run that begins at `now`, where the stream is read in rounds.
    fn first_round(&self, since: &Since, now: Timestamp) -> Option<Round> {
        let from = match (&self.since, &since.begin) {
            (Some(_), _) | (None, None) => None,
            (None, Some(Begin::Ago(span))) => now.checked_sub(span.get()).ok().map(Mark::of_time),
            (None, Some(Begin::At(text))) => Mark::read(text, &since.format),
        };
        if since.until.is_none() {
            return from.map(|from| Round { from: Some(from), until: None, end: None, records: 0 });
        }
        let begins = from.as_ref().or(self.since.as_ref()).and_then(Mark::time);
        let until = end_of_round(since, begins, now);
        Some(Round { from, until: Some(until), end: Some(now), records: 0 })
    }

    /// From where the round at work is asked for.
    fn from(&self) -> Option<&Mark> {
        self.round.as_ref().and_then(|round| round.from.as_ref()).or(self.since.as_ref())
    }

    /// The same run with a round of half the time, where the other side says that there is too
    /// much in this one; none where it cannot be halved.
    #[must_use]
    pub fn halved(&self, stream: &Stream) -> Option<Self> {
        let since = stream.since.as_ref()?;
        let halves = matches!(since.cap, Some(Cap { then: Beyond::Halve, .. }));
        let round = self.round.as_ref().filter(|_| halves)?;
        let (from, until) = (self.from().and_then(Mark::time)?, round.until?);
        let half = until.duration_since(from) / 2;
        if half < SHORTEST_ROUND {
            return None;
        }
        let until = Some(from.checked_add(half).ok()?);
        let round = Some(Round { until, records: 0, ..round.clone() });
        Some(Self { position: Position::First, round, mark: None, seen: None, ..self.clone() })
    }
}

/// Where a round ends that begins at `from` in a run that ends at `end`.
fn end_of_round(since: &Since, from: Option<Timestamp>, end: Timestamp) -> Timestamp {
    let window = since.window.zip(from).and_then(|(window, from)| {
        // The overlap is part of what is asked for.
        let overlap = since.overlap.map_or(SignedDuration::ZERO, |overlap| overlap.get());
        let most = window.get().checked_sub(overlap).filter(SignedDuration::is_positive);
        from.checked_add(most.unwrap_or(window.get())).ok()
    });
    window.map_or(end, |window| window.min(end))
}

const fn fits(paging: Option<&Paging>, position: &Position) -> bool {
    matches!(
        (paging, position),
        (_, Position::First)
            | (
                Some(
                    Paging::Cursor(_)
                        | Paging::Scroll(_)
                        | Paging::Relay(_)
                        | Paging::Version(_)
                        | Paging::Export(_)
                        | Paging::HeaderLocator(_)
                ),
                Position::Cursor(_)
            )
            | (Some(Paging::Page(_)), Position::Page(_))
            | (Some(Paging::Offset(_)), Position::Offset(_))
            | (Some(Paging::Keyset(_)), Position::Key(_))
            | (Some(Paging::NextUrl(_) | Paging::LinkHeader), Position::Url(_))
    )
}

/// What to ask for at `cursor`. `values` is what the connector's texts may speak of (`settings`,
/// `token`, `parent`, …); `cursor` and `until` are added.
///
/// # Errors
///
/// When a text of the connector cannot be filled in.
pub fn request(stream: &Stream, cursor: &Cursor, values: &Value) -> Result<PageRequest, Error> {
    let stream = &*stream.settled(values)?;
    let ask = match &stream.source {
        Source::Pages(ask) => &**ask,
        Source::Job(job) => job.download.as_ref().ok_or(Error::NoPages)?,
        Source::Journal(_) => return Err(Error::NoPages),
    };
    let mut rendered = since_in(stream, ask, cursor, values)?;
    if let Position::Url(url) = &cursor.position {
        return Ok(PageRequest::Url { url: url.to_string(), headers: rendered.headers });
    }
    if let Some(paging) = &stream.page {
        place_position(&mut rendered, paging, cursor);
    }
    Ok(PageRequest::Ask(Box::new(rendered)))
}

/// The request that makes the job of a stream, of what changed since `cursor`.
///
/// # Errors
///
/// When a text of the connector cannot be filled in, or there is no job.
pub fn job_request(stream: &Stream, cursor: &Cursor, values: &Value) -> Result<Rendered, Error> {
    let Source::Job(job) = &stream.source else { return Err(Error::NoPages) };
    since_in(stream, &job.create, cursor, values)
}

/// A request of a connector with what says since when, and until when.
fn since_in(
    stream: &Stream,
    ask: &Ask,
    cursor: &Cursor,
    values: &Value,
) -> Result<Rendered, Error> {
    let since = stream.since.as_ref();
    let from = since.zip(cursor.from()).map(|(since, from)| asked_from(since, from, cursor));
    let until = since.and_then(|it| it.until.as_ref().zip(cursor.round.as_ref()?.until));
    let until = since.zip(until).map(|(since, (how, until))| {
        (how, Mark::of_time(until).value(&since.format, since.granularity))
    });

    let mut values = Cow::Borrowed(values);
    let mut absent = Vec::new();
    for (name, value) in
        [("cursor", from.as_ref()), ("until", until.as_ref().map(|(_, value)| value))]
    {
        match (value, values.is_object()) {
            (Some(value), true) => values.to_mut()[name] = value.clone(),
            (Some(_), false) => {}
            (None, _) => absent.push(name.to_owned()),
        }
    }
    let mut rendered = ask.render(&values, &absent)?;

    let goes_alone = is_alone(stream.page.as_ref(), cursor);
    if let (Some(since), Some(from), false) = (since, from, goes_alone) {
        let value = match &since.text {
            Some(text) => Value::String(text.render(Place::Text, &values)?),
            None => from,
        };
        match &since.by {
            SinceBy::Param(name) => rendered.put_param(name, &value),
            SinceBy::Variable(name) => rendered.put_variable(name, value),
            SinceBy::Body(path) => rendered.put_body(path, value),
            SinceBy::Text | SinceBy::NewestFirst => {}
        }
    }
    if let (Some((how, until)), false) = (until, goes_alone) {
        match how {
            Until::Param(name) => rendered.put_param(name, &until),
            Until::Variable(name) => rendered.put_variable(name, until),
            Until::Body(path) => rendered.put_body(path, until),
            Until::Text => {}
        }
    }
    Ok(rendered)
}

/// Since when is asked, with what is read again.
fn asked_from(since: &Since, from: &Mark, cursor: &Cursor) -> Value {
    // A later round begins exactly where the one before ended.
    let is_later_round = cursor.round.as_ref().is_some_and(|round| round.from.is_some());
    let overlap = since.overlap.filter(|_| !is_later_round);
    let overlap = overlap.map_or(SignedDuration::ZERO, |overlap| overlap.get());
    from.earlier(overlap).value(&since.format, since.granularity)
}

/// Whether what `since` says is not repeated beside the position.
fn is_alone(paging: Option<&Paging>, cursor: &Cursor) -> bool {
    match paging {
        Some(Paging::Cursor(cursor_paging) | Paging::Scroll(cursor_paging)) => {
            cursor_paging.alone && cursor.position != Position::First
        }
        Some(Paging::Export(_)) => cursor.position != Position::First || cursor.resume.is_some(),
        _ => false,
    }
}

fn place_position(rendered: &mut Rendered, paging: &Paging, cursor: &Cursor) {
    let mut put = |goes: &Goes, value: Value| match goes {
        Goes::Param(name) => rendered.put_param(name, &value),
        Goes::Variable(name) => rendered.put_variable(name, value),
        Goes::Body(path) => rendered.put_body(path, value),
    };
    match (paging, &cursor.position) {
        (Paging::Cursor(it) | Paging::Scroll(it), Position::Cursor(at)) => {
            put(&it.goes, at.clone())
        }
        (Paging::Keyset(it), Position::Key(key)) => put(&it.goes, key.clone()),
        (Paging::Page(it), Position::Page(number)) => put(&it.goes, (*number).into()),
        (Paging::Page(it), _) => put(&it.goes, it.from.into()),
        (Paging::Offset(it), Position::Offset(number)) => put(&it.goes, (*number).into()),
        (Paging::Relay(it), Position::Cursor(at)) => {
            put(&Goes::Variable(it.variable.clone()), at.clone());
        }
        (Paging::HeaderLocator(it), Position::Cursor(at)) => {
            put(&Goes::Param(it.param.clone()), at.clone());
        }
        (Paging::Version(it), Position::Cursor(at)) => put(&it.goes, at.clone()),
        (Paging::Version(it), _) => match (&cursor.resume, &it.from) {
            (Some(resume), _) => put(&it.goes, resume.clone()),
            (None, Some(from)) => put(&it.goes, Value::String(from.clone())),
            (None, None) => {}
        },
        (Paging::Export(it), Position::Cursor(at)) => put(&it.goes, at.clone()),
        (Paging::Export(it), _) => {
            if let Some(resume) = &cursor.resume {
                put(&it.goes, resume.clone());
            }
        }
        _ => {}
    }
}

/// Reads the answer to the request of `cursor`. `values` is what the texts of `add` may speak of,
/// `now` what expressions take for the time.
///
/// # Errors
///
/// When the answer is not what the connector says, or would lead nowhere.
pub fn read(
    stream: &Stream,
    cursor: &Cursor,
    answer: Answer<'_>,
    values: &Value,
    now: Timestamp,
) -> Result<PageRead, Error> {
    let stream = &*stream.settled(values)?;
    let json = as_json(stream, answer.body)?;
    let body = Document::whole(&json)?;
    let items = added(stream, items(stream, &body, now)?, values)?;
    let records = items
        .iter()
        .enumerate()
        .map(|(place, item)| record(stream, place + 1, item, now))
        .collect::<Result<Vec<_>, Error>>()?;

    let since = stream.since.as_ref();
    let newest = since.and_then(|since| newest(since, cursor.newest.as_ref(), &items, now));
    let began = cursor.began.unwrap_or_else(|| answer.sent_at.unwrap_or(now));
    let total = stream.total.as_ref().and_then(|total| number(total, &body, now));
    let page = Page { body: &body, answer, items: &items, now };
    let mut next = next_position(stream, cursor, &page)?;
    if since.is_some_and(|since| is_past(since, cursor, &items, now)) {
        next = None;
    }
    let seen = digest(&records);
    let read = Read { newest, began, total, count: records.len() as u64, seen: &seen };
    let is_repeated = !records.is_empty() && cursor.seen.as_ref() == Some(&seen);
    let after = read.after(stream, cursor, next, &page, is_repeated)?;
    let newest_at = read.newest.as_ref().and_then(Mark::time);
    let (cursor, done) = after;
    Ok(PageRead { records, cursor, done, total, newest_at })
}

/// The answer as JSON. A web page is told before it is read as something else.
fn as_json<'a>(stream: &Stream, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    let begins = body.trim_ascii_start();
    let begins = &begins[..begins.len().min(14)];
    let is_page = begins.eq_ignore_ascii_case(b"<!doctype html")
        || begins.get(..5).is_some_and(|it| it.eq_ignore_ascii_case(b"<html"));
    if is_page {
        return Err(Error::WebPage);
    }
    Ok(answer::as_json(&stream.answer, body)?)
}

/// A page, and what was found on it.
struct Page<'a> {
    body: &'a Document<'a>,
    answer: Answer<'a>,
    items: &'a [Document<'a>],
    now: Timestamp,
}

/// What a page has shown.
struct Read<'a> {
    newest: Option<Mark>,
    began: Timestamp,
    total: Option<u64>,
    /// How many records there were on it.
    count: u64,
    seen: &'a str,
}

impl Read<'_> {
    /// The cursor after a page, and whether the run is done.
    fn after(
        &self,
        stream: &Stream,
        cursor: &Cursor,
        next: Option<Position>,
        page: &Page<'_>,
        is_repeated: bool,
    ) -> Result<(Cursor, bool), Error> {
        let cap = stream.since.as_ref().and_then(|since| since.cap);
        if let Some(Cap { records, then: Beyond::Halve }) = cap
            && cursor.position == Position::First
            && self.total.is_some_and(|total| total > records)
        {
            let halved = cursor.halved(stream).ok_or(Error::TooMany(records))?;
            return self.counted(halved).map(|cursor| (cursor, false));
        }
        let Some(position) = next else {
            return match self.next_round(stream, cursor) {
                Some(next) => self.counted(next).map(|cursor| (cursor, false)),
                None => Ok((self.end(stream, cursor, page), true)),
            };
        };
        let round_records = cursor.round.as_ref().map_or(cursor.records, |it| it.records);
        if let Some(Cap { records, then: Beyond::Restart }) = cap
            && round_records + 2 * self.count > records
        {
            let next = self.restarted(stream, cursor).ok_or(Error::TooMany(records))?;
            return self.counted(next).map(|cursor| (cursor, false));
        }
        // A session of the other side moves on by itself, and may be called the same throughout.
        let is_session = matches!(stream.page, Some(Paging::Scroll(_)));
        let is_asked = position == Position::Url(page.answer.asked.clone());
        if !is_session && (position == cursor.position || is_asked) {
            return Err(Error::Stuck);
        }
        if !is_session && Some(&position) == cursor.mark.as_ref() {
            return Err(Error::Circle);
        }
        if is_repeated {
            return Err(Error::Repeated);
        }
        let mut next = self.counted(cursor.clone())?;
        next.empty = if self.count == 0 { cursor.empty + 1 } else { 0 };
        if next.empty > MAX_EMPTY {
            return Err(Error::Empty);
        }
        if next.pages.is_power_of_two() {
            next.mark = Some(position.clone());
        }
        if let Some(round) = &mut next.round {
            round.records += self.count;
        }
        next.position = position;
        next.seen = Some(self.seen.to_owned());
        Ok((next, false))
    }

    /// The same cursor with this page counted.
    fn counted(&self, cursor: Cursor) -> Result<Cursor, Error> {
        let pages = cursor.pages + 1;
        if pages >= MAX_PAGES {
            return Err(Error::Endless);
        }
        Ok(Cursor {
            pages,
            records: cursor.records + self.count,
            newest: self.newest.clone(),
            began: Some(self.began),
            ..cursor
        })
    }

    /// The round after the one that ended; none where the run has ended with it.
    fn next_round(&self, stream: &Stream, cursor: &Cursor) -> Option<Cursor> {
        let since = stream.since.as_ref()?;
        let Round { until: Some(until), end: Some(end), .. } = cursor.round.as_ref()? else {
            return None;
        };
        if until >= end {
            return None;
        }
        let round = Round {
            from: Some(Mark::of_time(*until)),
            until: Some(end_of_round(since, Some(*until), *end)),
            end: Some(*end),
            records: 0,
        };
        Some(at_its_beginning(cursor, round))
    }

    /// A round that begins at the newest that was seen; none where that is where this one began.
    fn restarted(&self, stream: &Stream, cursor: &Cursor) -> Option<Cursor> {
        let format = &stream.since.as_ref()?.format;
        let newest = self.newest.clone()?;
        if cursor.from().is_some_and(|from| newest.compare(from, format).is_le()) {
            return None;
        }
        let (until, end) = cursor.round.as_ref().map_or((None, None), |it| (it.until, it.end));
        Some(at_its_beginning(cursor, Round { from: Some(newest), until, end, records: 0 }))
    }

    /// Where the next run begins.
    fn end(&self, stream: &Stream, cursor: &Cursor, page: &Page<'_>) -> Cursor {
        let resume = resume(stream, cursor, page);
        let Some(since) = &stream.since else {
            return Cursor { since: cursor.since.clone(), resume, ..Cursor::default() };
        };
        // All up to the end of the run was asked for, whether there was anything or not.
        let end = cursor.round.as_ref().and_then(|round| round.end).map(Mark::of_time);
        let reached = end.or_else(|| self.newest.clone());
        let began = Mark::of_time(self.began);
        let reached = reached.map(|reached| match since.format.is_time() {
            true if reached.time() > began.time() => began,
            _ => reached,
        });
        let since = Mark::newer(cursor.since.clone(), reached, &since.format);
        Cursor { since, resume, ..Cursor::default() }
    }
}

fn at_its_beginning(cursor: &Cursor, round: Round) -> Cursor {
    let round = Some(round);
    Cursor { position: Position::First, round, empty: 0, mark: None, seen: None, ..cursor.clone() }
}

/// What the other side gave to begin the next run with.
fn resume(stream: &Stream, cursor: &Cursor, page: &Page<'_>) -> Option<Value> {
    let given = match &stream.page {
        // That of an empty page may be nothing, or 0.
        Some(Paging::Version(it)) if !page.items.is_empty() => value_at(&it.at, page),
        Some(Paging::Version(_)) => None,
        Some(Paging::Export(it)) => value_at(&it.at, page),
        _ => return None,
    };
    let last = match &cursor.position {
        Position::Cursor(at) => Some(at.clone()),
        _ => cursor.resume.clone(),
    };
    given.or(last)
}

/// An answer, or a record in it: its text, and its value once an expression needs it.
struct Document<'a> {
    text: Cow<'a, str>,
    value: OnceCell<Json>,
}

impl<'a> Document<'a> {
    /// An answer, of which nothing is known yet.
    fn whole(body: &'a [u8]) -> Result<Self, Error> {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        if body.trim_ascii_start().starts_with(b"<") {
            return Err(Error::WebPage);
        }
        json::check_limits(body, PAGE_VALUES)?;
        let text: &RawValue = serde_json::from_slice(body)
            .map_err(|error| json::Error::Syntax(clean(&error.to_string(), 200)))?;
        Ok(Self::part(text.get()))
    }

    /// A part of a text that is JSON, not too deep.
    fn part(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), value: OnceCell::new() }
    }

    fn of(value: Json) -> Self {
        Self { text: Cow::Owned(value.to_string()), value: OnceCell::from(value) }
    }

    fn value(&self) -> &Json {
        // Both readers take the same texts; should they not, nothing is found in it.
        let parse = || Json::parse_up_to(self.text.as_bytes(), PAGE_VALUES).unwrap_or_default();
        self.value.get_or_init(parse)
    }

    /// The first value of `expression` as text, as [`Expression::text_of`] has it.
    fn text_of(&self, expression: &Expression, now: Timestamp) -> Option<String> {
        match expression.path() {
            Some(path) => raw::at(&self.text, path).and_then(raw::scalar),
            None => expression.text_of(self.value(), now),
        }
    }

    /// The first value of `expression` as what it is; none where it is `null`.
    fn value_of(&self, expression: &Expression, now: Timestamp) -> Option<Value> {
        let value: Value = match expression.path() {
            Some(path) => serde_json::from_str(raw::at(&self.text, path)?).ok()?,
            None => {
                let first = expression.first(self.value(), now).ok()??;
                serde_json::from_str(&first.to_string()).ok()?
            }
        };
        (!value.is_null()).then_some(value)
    }

    fn holds(&self, expression: &Expression, now: Timestamp) -> bool {
        match expression.path() {
            Some(path) => {
                raw::at(&self.text, path).is_some_and(|value| !matches!(value, "null" | "false"))
            }
            None => expression.holds(self.value(), now),
        }
    }
}

/// The records of a page: what the expression yields, and of a list its items.
fn items<'a>(
    stream: &Stream,
    body: &'a Document<'_>,
    now: Timestamp,
) -> Result<Vec<Document<'a>>, Error> {
    let missing = || match stream.may_be_missing {
        true => Ok(Vec::new()),
        false => Err(Error::NoRecords(stream.records.text().into())),
    };
    if let Some(found) = stream.records.path().and_then(|path| raw::at(&body.text, path)) {
        return match raw::items(found) {
            Some(items) => Ok(items.into_iter().map(Document::part).collect()),
            None if found == "null" => missing(),
            None => Ok(vec![Document::part(found)]),
        };
    }
    let mut items = Vec::new();
    for yielded in stream.records.all(body.value(), now)? {
        if yielded.is_null() {
            return missing();
        }
        if let Some(list) = yielded.as_array() {
            items.extend(list.map(Document::of));
            continue;
        }
        items.push(Document::of(yielded));
    }
    Ok(items)
}

/// The records with what the connector adds to them. What a record has itself stays.
fn added<'a>(
    stream: &Stream,
    items: Vec<Document<'a>>,
    values: &Value,
) -> Result<Vec<Document<'a>>, Error> {
    if stream.add.is_empty() {
        return Ok(items);
    }
    let mut extra = Vec::new();
    for (name, text) in &stream.add {
        extra.push((name, text.value(values)?));
    }
    let with = |item: Document<'a>| {
        let Some(inside) = item.text.trim().strip_prefix('{') else { return item };
        let mut text = String::from("{");
        for (name, value) in &extra {
            if raw::at(&item.text, &[name.as_str().into()]).is_none() {
                text.push_str(&format!("{}:{value},", Value::String((*name).clone())));
            }
        }
        if inside.trim() == "}" {
            text.truncate(text.trim_end_matches(',').len());
        }
        text.push_str(inside);
        Document { text: Cow::Owned(text), value: OnceCell::new() }
    };
    Ok(items.into_iter().map(with).collect())
}

/// What a record says at the `field` of `since`, where that cannot be read as it is said to be
/// written: such a record would be read again and again. One that says nothing there is none.
pub fn unreadable_cursor(stream: &Stream, record: &str, now: Timestamp) -> Option<String> {
    let since = stream.since.as_ref()?;
    let record = Json::parse(record.as_bytes()).ok()?;
    let text = since.field.text_of(&record, now).filter(|text| !text.is_empty())?;
    Mark::read(&text, &since.field_format).is_none().then_some(text)
}

fn record(
    stream: &Stream,
    number: usize,
    item: &Document<'_>,
    now: Timestamp,
) -> Result<NewRecord, Error> {
    let mut key = String::new();
    for (place, expression) in stream.key.iter().enumerate() {
        let part = item
            .text_of(expression, now)
            .filter(|part| !part.is_empty())
            .ok_or_else(|| Error::NoKey { number, key: expression.text().into() })?;
        if place > 0 {
            key.push_str(KEY_SEPARATOR);
        }
        key.push_str(&part);
    }
    Ok(NewRecord {
        key,
        version: stream.version.as_ref().and_then(|version| item.text_of(version, now)),
        data: item.text.clone().into_owned(),
        deleted: stream.deleted.as_ref().is_some_and(|deleted| item.holds(deleted, now)),
    })
}

/// What a record says of how new it is.
fn mark_of(since: &Since, item: &Document<'_>, now: Timestamp) -> Option<Mark> {
    Mark::read(&item.text_of(&since.field, now)?, &since.field_format)
}

fn newest(
    since: &Since,
    before: Option<&Mark>,
    items: &[Document<'_>],
    now: Timestamp,
) -> Option<Mark> {
    let marks = items.iter().filter_map(|item| mark_of(since, item, now));
    marks.fold(before.cloned(), |newest, mark| Mark::newer(newest, Some(mark), &since.format))
}

/// Whether the newest come first and this page is past what is asked for.
fn is_past(since: &Since, cursor: &Cursor, items: &[Document<'_>], now: Timestamp) -> bool {
    let SinceBy::NewestFirst = since.by else { return false };
    let Some(from) = cursor.from() else { return false };
    let overlap = since.overlap.map_or(SignedDuration::ZERO, |overlap| overlap.get());
    let from = from.earlier(overlap);
    let mut marks = items.iter().filter_map(|item| mark_of(since, item, now));
    marks.any(|mark| mark.compare(&from, &since.format) == Ordering::Less)
}

fn number(expression: &Expression, body: &Document<'_>, now: Timestamp) -> Option<u64> {
    body.text_of(expression, now)?.parse().ok()
}

fn digest(records: &[NewRecord]) -> String {
    let mut digest = Sha256::new();
    for record in records {
        digest.update(record.key.as_bytes());
        digest.update([0]);
    }
    hex::encode(&digest.finalize()[..16])
}

/// Where the next page is; none where this was the last.
fn next_position(
    stream: &Stream,
    cursor: &Cursor,
    page: &Page<'_>,
) -> Result<Option<Position>, Error> {
    let Some(paging) = &stream.page else { return Ok(None) };
    let Page { body, answer, items, now } = *page;
    Ok(match paging {
        Paging::Cursor(it) | Paging::Scroll(it) => {
            value_at(&it.at, page).filter(|_| goes_on(&it.stop, page)).map(Position::Cursor)
        }
        Paging::Page(it) => {
            let number_now = match cursor.position {
                Position::Page(page) => page,
                _ => it.from,
            };
            let header = it.pages_header.as_deref().and_then(|name| answer.header(name));
            let header = header.and_then(|pages| pages.trim().parse::<u64>().ok());
            let pages = it.pages.as_ref().and_then(|pages| number(pages, body, now)).or(header);
            let last = match pages {
                Some(pages) => number_now + 1 >= it.from.saturating_add(pages),
                // Without a word on it, an empty page is the last.
                None => items.is_empty(),
            };
            (!last && goes_on(&it.stop, page)).then_some(Position::Page(number_now + 1))
        }
        Paging::Offset(it) => {
            let offset = match cursor.position {
                Position::Offset(offset) => offset,
                _ => it.from,
            };
            let next = offset + items.len() as u64;
            (!items.is_empty() && goes_on(&it.stop, page)).then_some(Position::Offset(next))
        }
        Paging::Keyset(it) => {
            let item = match it.of {
                Which::Last => items.last(),
                Which::First => items.first(),
            };
            match item {
                Some(item) if goes_on(&it.stop, page) => {
                    let missing = || {
                        let key = it.field.text().to_owned();
                        Error::NoKey { number: items.len(), key }
                    };
                    Some(Position::Key(item.value_of(&it.field, now).ok_or_else(missing)?))
                }
                _ => None,
            }
        }
        Paging::NextUrl(it) => {
            let link = text_at(&it.at, body, now).filter(|_| goes_on(&it.stop, page));
            link.map(|link| address(&link, answer.asked)).transpose()?
        }
        Paging::LinkHeader => {
            let link = answer.header("link").and_then(next_link);
            link.map(|link| address(&link, answer.asked)).transpose()?
        }
        Paging::Relay(it) => {
            let info = it.at.first(body.value(), now)?.unwrap_or_default();
            let more = info.get("hasNextPage").is_some_and(|more| more.is_true());
            let end = info.get("endCursor").and_then(|end| end.as_text());
            end.filter(|end| more && !end.is_empty()).map(|end| Position::Cursor(end.into()))
        }
        Paging::Version(it) => {
            let at = value_at(&it.at, page).filter(|_| !items.is_empty());
            at.filter(|_| goes_on(&it.stop, page)).map(Position::Cursor)
        }
        Paging::Export(it) => {
            let ends = body.holds(&it.end, now) || !goes_on(&it.stop, page);
            value_at(&it.at, page).filter(|_| !ends).map(Position::Cursor)
        }
        Paging::HeaderLocator(it) => {
            let at = answer.header(&it.header).map(str::trim);
            at.filter(|at| !at.is_empty() && *at != "null").map(|at| Position::Cursor(at.into()))
        }
    })
}

/// Whether there may be a page after this one, as far as the connector says how that is told.
fn goes_on(stop: &Stop, page: &Page<'_>) -> bool {
    let count = page.items.len() as u64;
    stop.more.as_ref().is_none_or(|more| page.body.holds(more, page.now))
        && stop.size.is_none_or(|size| count >= size)
        && !(stop.empty && count == 0)
}

/// A cursor, as what it is; an empty one, `null` and the text `null` are the end.
fn value_at(at: &Expression, page: &Page<'_>) -> Option<Value> {
    page.body.value_of(at, page.now).filter(|value| !matches!(value.as_str(), Some("" | "null")))
}

/// The address that a link names, which must be on the host that was asked.
fn address(link: &str, asked: &Url) -> Result<Position, Error> {
    let url = asked.join(link).map_err(|_| Error::Address(clean(link, 100)))?;
    if url.origin() != asked.origin() || !url.username().is_empty() || url.password().is_some() {
        let host = url.host_str().unwrap_or(link);
        return Err(Error::OtherHost(clean(host, 100)));
    }
    Ok(Position::Url(url))
}

/// A cursor or an address; an empty one, `null` and the text `null` are the end.
fn text_at(at: &Expression, body: &Document<'_>, now: Timestamp) -> Option<String> {
    body.text_of(at, now).filter(|text| !text.is_empty() && text != "null")
}

/// The target of `rel="next"` in a `Link` header (RFC 8288).
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some(open) = rest.find('<') {
        let after = &rest[open + 1..];
        let close = after.find('>')?;
        let (target, parameters) = (&after[..close], &after[close + 1..]);
        let end = parameters.find('<').unwrap_or(parameters.len());
        let is_next = parameters[..end].split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split(' ')
                        .any(|rel| rel.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = &parameters[end..];
    }
    None
}

#[cfg(test)]
mod tests;
