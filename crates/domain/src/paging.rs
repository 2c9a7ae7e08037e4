//! Reading a stream page by page: what to ask for next, and what an answer holds.
//!
//! A [`Cursor`] is all that is kept between two pages, so a run that is stopped anywhere goes on
//! from the last page that was stored. When the pages end, it becomes the beginning of the next
//! run: the newest time that was seen, but not later than the pages began, since what changed
//! meanwhile may have changed on a page that was read already. What an answer says is noticed, not
//! obeyed: a position that does not advance, a page that comes again, pages without an end and an
//! address on another host are faults of the run.
//!
//! Records keep the text they came as. Expressions that are plain paths are answered from that
//! text; it is read into values only for others.

use std::borrow::Cow;
use std::cell::OnceCell;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use url::Url;

use crate::connector::{Granularity, Paging, Read, Since, Stream, TimeFormat};
use crate::expression::{Expression, RunError};
use crate::json::{self, Json};
use crate::raw;
use crate::record::{KEY_SEPARATOR, NewRecord};
use crate::template::{self, Place};
use crate::text::clean;

/// More pages than this in one run are taken for pages without an end.
pub const MAX_PAGES: u64 = 1_000_000;

/// How long after they began pages are gone on with. Cursors of providers do not live for ever, and
/// what was read first is out of date by then.
const LONGEST_READING: SignedDuration = SignedDuration::from_hours(24);

/// Where a run of a stream is. Opaque outside of this module; stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The newest time of the last complete run: what came later is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Where in the pages of the run at work.
    #[serde(default)]
    position: Position,
    /// The newest time that this run has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Timestamp>,
    /// When the first page was sent, by the clock of whoever sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
    /// How many pages this run has read.
    #[serde(default)]
    pages: u64,
    /// How many records were on them.
    #[serde(default)]
    records: u64,
    /// An earlier position, to notice a run that goes round in a circle: after Brent, it is moved
    /// up whenever the number of pages reaches a power of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Position>,
    /// A digest of the keys of the last page, to notice one that comes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    #[default]
    First,
    Cursor(String),
    Page(u64),
    Offset(u64),
    Key(String),
    Url(Url),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRequest {
    /// A path below the connector's `base_url`, with a query that is not encoded yet.
    Path {
        /// The path, encoded.
        path: String,
        /// Names and values.
        query: Vec<(String, String)>,
    },
    /// An address that came from the other side, on the host that was asked before. Whether that
    /// may still be called is for the caller to check.
    Url(String),
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The bytes.
    pub body: &'a [u8],
    /// The `link` header.
    pub link: Option<&'a str>,
    /// When it was sent, as its `date` header says.
    pub sent_at: Option<Timestamp>,
    /// The address that was asked.
    pub asked: &'a Url,
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
    /// It is a page for people.
    #[error("the answer is a web page instead of data")]
    WebPage,
    /// It is not JSON.
    #[error("the answer is {0}")]
    Json(#[from] json::Error),
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
    /// changed its way of paging. Then they begin anew.
    #[must_use]
    pub fn go_on(self, stream: &Stream, now: Timestamp) -> Self {
        let fresh = self.began.is_none_or(|began| now.duration_since(began) <= LONGEST_READING);
        if fresh && fits(stream.page.as_ref(), &self.position) { self } else { self.anew() }
    }

    /// The first page of the same run.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { since: self.since, ..Self::default() }
    }

    /// Whether it stands between two runs rather than between two pages of one.
    pub fn is_between_runs(&self) -> bool {
        self.position == Position::First && self.pages == 0
    }
}

const fn fits(paging: Option<&Paging>, position: &Position) -> bool {
    matches!(
        (paging, position),
        (_, Position::First)
            | (Some(Paging::Cursor { .. }), Position::Cursor(_))
            | (Some(Paging::Page { .. }), Position::Page(_))
            | (Some(Paging::Offset { .. }), Position::Offset(_))
            | (Some(Paging::Keyset { .. }), Position::Key(_))
            | (Some(Paging::NextUrl(_) | Paging::LinkHeader), Position::Url(_))
    )
}

/// What to ask for at `cursor`. `values` is what the connector's texts may speak of (`settings`,
/// `token`, …); `cursor` is added for the text of `since`.
///
/// # Errors
///
/// When a text of the connector cannot be filled in.
pub fn request(stream: &Stream, cursor: &Cursor, values: &Value) -> Result<PageRequest, Error> {
    if let Position::Url(url) = &cursor.position {
        return Ok(PageRequest::Url(url.to_string()));
    }
    let Read::Get { path, query } = &stream.read;
    let path = path.render(Place::Path, values)?;
    let mut parameters = query
        .iter()
        .map(|(name, text)| Ok((name.clone(), text.render(Place::Text, values)?)))
        .collect::<Result<Vec<_>, template::Error>>()?;
    if let (Some(since), Some(from)) = (&stream.since, cursor.since) {
        parameters.push((since.param.clone(), since_text(since, from, values)?));
    }
    parameters.extend(position_parameter(stream.page.as_ref(), &cursor.position));
    Ok(PageRequest::Path { path, query: parameters })
}

fn position_parameter(paging: Option<&Paging>, position: &Position) -> Option<(String, String)> {
    match (paging?, position) {
        (Paging::Cursor { param, .. }, Position::Cursor(text))
        | (Paging::Keyset { param, .. }, Position::Key(text)) => {
            Some((param.clone(), text.clone()))
        }
        (Paging::Page { param, .. }, Position::Page(number))
        | (Paging::Offset { param, .. }, Position::Offset(number)) => {
            Some((param.clone(), number.to_string()))
        }
        (Paging::Page { param, from, .. }, Position::First) => {
            Some((param.clone(), from.to_string()))
        }
        _ => None,
    }
}

fn since_text(since: &Since, from: Timestamp, values: &Value) -> Result<String, Error> {
    let overlap = since.overlap.map_or(SignedDuration::ZERO, |overlap| overlap.get());
    let from = from.checked_sub(overlap).unwrap_or(Timestamp::MIN);
    let time = written(cut(from, since.granularity), since.format);
    let Some(text) = &since.text else { return Ok(time) };
    let mut values = values.clone();
    if let Value::Object(values) = &mut values {
        values.insert("cursor".into(), Value::String(time));
    }
    Ok(text.render(Place::Text, &values)?)
}

/// The beginning of the millisecond, second or day in which `time` is.
fn cut(time: Timestamp, granularity: Granularity) -> Timestamp {
    let step = match granularity {
        Granularity::Millisecond => 1,
        Granularity::Second => 1_000,
        Granularity::Day => 86_400_000,
    };
    let millis = time.as_millisecond();
    Timestamp::from_millisecond(millis - millis.rem_euclid(step)).unwrap_or(Timestamp::MIN)
}

fn written(time: Timestamp, format: TimeFormat) -> String {
    match format {
        TimeFormat::Rfc3339 => format!("{time:.3}"),
        TimeFormat::EpochSeconds => time.as_second().to_string(),
        TimeFormat::EpochMillis => time.as_millisecond().to_string(),
        TimeFormat::Date => time.to_zoned_datetime(TimeZone::UTC).date().to_string(),
    }
}

/// A time as the other side wrote it; none where it is not one.
pub fn read_time(text: &str, format: TimeFormat) -> Option<Timestamp> {
    let time = match format {
        TimeFormat::Rfc3339 => text.parse().ok()?,
        TimeFormat::EpochSeconds => since_1970(text, 1_000)?,
        TimeFormat::EpochMillis => since_1970(text, 1)?,
        TimeFormat::Date => {
            let date: jiff::civil::Date = text.parse().ok()?;
            date.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp()
        }
    };
    // Kept in milliseconds, as all our times: a finer time cut off is asked for again.
    time.round(jiff::TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Floor))
        .ok()
}

/// A number of seconds or milliseconds. Whole ones are read as such, since a double would round
/// the late ones; some write seconds with decimals.
fn since_1970(text: &str, millis: i64) -> Option<Timestamp> {
    if let Ok(whole) = text.parse::<i64>() {
        return Timestamp::from_millisecond(whole.checked_mul(millis)?).ok();
    }
    let millis = text.parse::<f64>().ok()? * millis as f64;
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(millis / 1_000.0).ok()?).ok()
}

/// Reads the answer to the request of `cursor`. `now` is what expressions take for the time.
///
/// # Errors
///
/// When the answer is not what the connector says, or would lead nowhere.
pub fn read(
    stream: &Stream,
    cursor: &Cursor,
    answer: Answer<'_>,
    now: Timestamp,
) -> Result<PageRead, Error> {
    let body = Document::whole(answer.body)?;
    let items = items(stream, &body, now)?;
    let records = items
        .iter()
        .enumerate()
        .map(|(place, item)| record(stream, place + 1, item, now))
        .collect::<Result<Vec<_>, Error>>()?;

    let newest = stream.since.as_ref().and_then(|since| newest(since, &items, now));
    let newest = newest.max(cursor.newest);
    let began = cursor.began.unwrap_or_else(|| answer.sent_at.unwrap_or(now));
    let total = stream.total.as_ref().and_then(|total| number(total, &body, now));
    let seen = digest(&records);
    let next = next_position(stream, cursor, &body, answer, &items, now)?;

    let Some(position) = next else {
        let since = cursor.since.max(newest.map(|newest| newest.min(began)));
        let cursor = Cursor { since, ..Cursor::default() };
        return Ok(PageRead { records, cursor, done: true, total, newest_at: newest });
    };
    if position == cursor.position || position == Position::Url(answer.asked.clone()) {
        return Err(Error::Stuck);
    }
    if Some(&position) == cursor.mark.as_ref() {
        return Err(Error::Circle);
    }
    if !records.is_empty() && cursor.seen.as_deref() == Some(&seen) {
        return Err(Error::Repeated);
    }
    let pages = cursor.pages + 1;
    if pages >= MAX_PAGES {
        return Err(Error::Endless);
    }
    let mark = if pages.is_power_of_two() { Some(position.clone()) } else { cursor.mark.clone() };
    let cursor = Cursor {
        since: cursor.since,
        position,
        newest,
        began: Some(began),
        pages,
        records: cursor.records + records.len() as u64,
        mark,
        seen: Some(seen),
    };
    Ok(PageRead { records, cursor, done: false, total, newest_at: newest })
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
        json::check_limits(body)?;
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
        self.value.get_or_init(|| Json::parse(self.text.as_bytes()).unwrap_or_default())
    }

    /// The first value of `expression` as text, as [`Expression::text_of`] has it.
    fn text_of(&self, expression: &Expression, now: Timestamp) -> Option<String> {
        match expression.path() {
            Some(path) => raw::at(&self.text, path).and_then(raw::scalar),
            None => expression.text_of(self.value(), now),
        }
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
    let missing = || Error::NoRecords(stream.records.text().into());
    if let Some(found) = stream.records.path().and_then(|path| raw::at(&body.text, path)) {
        return match raw::items(found) {
            Some(items) => Ok(items.into_iter().map(Document::part).collect()),
            None if found == "null" => Err(missing()),
            None => Ok(vec![Document::part(found)]),
        };
    }
    let mut items = Vec::new();
    for yielded in stream.records.all(body.value(), now)? {
        if yielded.is_null() {
            return Err(missing());
        }
        if let Some(list) = yielded.as_array() {
            items.extend(list.map(Document::of));
            continue;
        }
        items.push(Document::of(yielded));
    }
    Ok(items)
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

fn newest(since: &Since, items: &[Document<'_>], now: Timestamp) -> Option<Timestamp> {
    items.iter().filter_map(|item| read_time(&item.text_of(&since.field, now)?, since.format)).max()
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
    body: &Document<'_>,
    answer: Answer<'_>,
    items: &[Document<'_>],
    now: Timestamp,
) -> Result<Option<Position>, Error> {
    let Some(paging) = &stream.page else { return Ok(None) };
    // `more` decides where the answer has it; without it, each kind has its own end.
    let goes_on =
        |more: &Option<Expression>| more.as_ref().is_none_or(|more| body.holds(more, now));
    Ok(match paging {
        Paging::Cursor { at, more, .. } => {
            text_at(at, body, now).filter(|_| goes_on(more)).map(Position::Cursor)
        }
        Paging::Page { from, pages, .. } => {
            let page = match cursor.position {
                Position::Page(page) => page,
                _ => *from,
            };
            let last = match pages {
                Some(pages) => {
                    number(pages, body, now).map(|pages| page + 1 >= from.saturating_add(pages))
                }
                None => None,
            };
            (!last.unwrap_or(items.is_empty())).then_some(Position::Page(page + 1))
        }
        Paging::Offset { more, .. } => {
            let offset = match cursor.position {
                Position::Offset(offset) => offset,
                _ => 0,
            };
            let next = offset + items.len() as u64;
            (!items.is_empty() && goes_on(more)).then_some(Position::Offset(next))
        }
        Paging::Keyset { field, more, .. } => match items.last() {
            Some(last) if goes_on(more) => {
                let key = last.text_of(field, now);
                let missing = || Error::NoKey { number: items.len(), key: field.text().to_owned() };
                Some(Position::Key(key.ok_or_else(missing)?))
            }
            _ => None,
        },
        Paging::NextUrl(at) => {
            text_at(at, body, now).map(|link| address(&link, answer.asked)).transpose()?
        }
        Paging::LinkHeader => {
            let link = answer.link.and_then(next_link);
            link.map(|link| address(&link, answer.asked)).transpose()?
        }
    })
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn stream(page: &str) -> Stream {
        let text = format!(
            "get: /things\nquery: {{ limit: '2' }}\nrecords: .data\nkey: .id\nversion: .v\n\
             deleted: .gone\ntotal: .total\n{page}\n\
             since: {{ param: updated_since, field: .at, overlap: 2m, granularity: second }}\n"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    fn ask(stream: &Stream, cursor: &Cursor) -> String {
        match request(stream, cursor, &json!({ "settings": {} })).unwrap() {
            PageRequest::Url(url) => url,
            PageRequest::Path { path, query } => {
                let query: Vec<_> =
                    query.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{path}?{}", query.join("&"))
            }
        }
    }

    fn answer(stream: &Stream, cursor: &Cursor, body: &Value) -> Result<PageRead, Error> {
        let link = body.get("link").and_then(Value::as_str);
        come(stream, cursor, body.to_string().as_bytes(), link)
    }

    fn come(
        stream: &Stream,
        cursor: &Cursor,
        body: &[u8],
        link: Option<&str>,
    ) -> Result<PageRead, Error> {
        let asked = match &cursor.position {
            Position::Url(url) => url.clone(),
            _ => "https://shop.example/things".parse().unwrap(),
        };
        let answer = Answer { body, link, sent_at: None, asked: &asked };
        let read = read(stream, cursor, answer, now());
        // A path that is not plain gives the same by way of values.
        let mut slow = stream.clone();
        slow.records = Expression::compile(&format!("{}|.", stream.records.text())).unwrap();
        slow.key = vec![Expression::compile(".id|.").unwrap()];
        if let (Ok(fast), Ok(slow)) = (&read, super::read(&slow, cursor, answer, now())) {
            assert_eq!(&slow, fast);
        }
        read
    }

    /// Reads until the pages end, and says what was asked for each time.
    fn run(stream: &Stream, cursor: Cursor, answers: &[Value]) -> (Vec<String>, Cursor) {
        let (mut asked, mut cursor, mut answers) = (Vec::new(), cursor, answers.iter());
        loop {
            asked.push(ask(stream, &cursor));
            // What is stored between two pages is the JSON text.
            let stored = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<Cursor>(&stored).unwrap(), cursor);
            let page = answer(stream, &cursor, answers.next().expect("one more page")).unwrap();
            cursor = page.cursor;
            if page.done {
                assert!(answers.next().is_none(), "it ended early");
                return (asked, cursor);
            }
        }
    }

    fn things(ids: &[u64]) -> Vec<Value> {
        ids.iter()
            .map(|id| json!({ "id": id, "at": format!("2026-11-24T10:00:{id:02}Z") }))
            .collect()
    }

    #[test]
    fn a_cursor_is_followed_until_there_is_none() {
        for end in [json!(null), json!(""), json!("null")] {
            let stream = stream("page: { cursor: { param: cursor, at: .next } }");
            let (asked, _) = run(
                &stream,
                Cursor::default(),
                &[
                    json!({ "data": things(&[1, 2]), "next": "abc" }),
                    json!({ "data": things(&[3]), "next": end }),
                ],
            );
            assert_eq!(asked, ["/things?limit=2", "/things?limit=2&cursor=abc"]);
        }
    }

    #[test]
    fn pages_are_counted_up_to_the_last() {
        let stream = stream("page: { page: { param: page, pages: .pages } }");
        let (asked, _) = run(
            &stream,
            Cursor::default(),
            &[
                json!({ "data": things(&[1, 2]), "pages": 2 }),
                json!({ "data": things(&[3]), "pages": 2 }),
            ],
        );
        assert_eq!(asked, ["/things?limit=2&page=1", "/things?limit=2&page=2"]);
    }

    #[test]
    fn an_empty_answer_ends_pages_that_nobody_counts() {
        let stream = stream("page: { page: { param: page } }");
        let (asked, _) = run(
            &stream,
            Cursor::default(),
            &[json!({ "data": things(&[1, 2]) }), json!({ "data": [] })],
        );
        assert_eq!(asked.len(), 2);
    }

    #[test]
    fn offsets_and_keys_of_last_records_lead_on() {
        let answers = [
            json!({ "data": things(&[1, 2]) }),
            json!({ "data": things(&[3]) }),
            json!({ "data": [] }),
        ];
        let (asked, _) =
            run(&stream("page: { offset: { param: skip } }"), Cursor::default(), &answers);
        assert_eq!(asked, ["/things?limit=2", "/things?limit=2&skip=2", "/things?limit=2&skip=3"]);

        let (asked, _) = run(
            &stream("page: { keyset: { param: after, field: .id } }"),
            Cursor::default(),
            &answers,
        );
        assert_eq!(
            asked,
            ["/things?limit=2", "/things?limit=2&after=2", "/things?limit=2&after=3"]
        );
    }

    #[test]
    fn the_whole_address_of_the_next_page_is_taken_as_it_is() {
        let stream = stream("page: { next_url: .next }");
        let (asked, _) = run(
            &stream,
            Cursor::default(),
            &[
                json!({ "data": things(&[1]), "next": "/things?p=2" }),
                json!({ "data": things(&[2]) }),
            ],
        );
        assert_eq!(asked[1], "https://shop.example/things?p=2");
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let next = |text| next_link(text);
        assert_eq!(
            next(r#"<https://a.example/?p=1>; rel="prev", <https://a.example/?p=3,4>; rel="next""#)
                .as_deref(),
            Some("https://a.example/?p=3,4")
        );
        assert_eq!(next("</p2>; title=x; rel=next").as_deref(), Some("/p2"));
        assert_eq!(next(r#"</p2>; rel="last next""#).as_deref(), Some("/p2"));
        for none in ["", "<", "</p>; rel=prev", "rel=next", "</p2>; relation=next"] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn the_next_run_begins_before_the_newest_time_that_was_seen() {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let (_, cursor) = run(
            &stream,
            Cursor::default(),
            &[
                json!({ "data": [{ "id": 1, "at": "2026-11-24T10:05:09.900Z" }], "next": "b" }),
                json!({ "data": things(&[2]) }),
            ],
        );

        assert!(cursor.is_between_runs());
        assert_eq!(ask(&stream, &cursor), "/things?limit=2&updated_since=2026-11-24T10:03:09.000Z");
    }

    #[test]
    fn a_run_without_news_keeps_the_time_of_the_last() {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let (_, first) = run(&stream, Cursor::default(), &[json!({ "data": things(&[1]) })]);
        let (_, second) = run(&stream, first.clone(), &[json!({ "data": [] })]);

        assert_eq!(first, second);
    }

    #[test]
    fn numbers_and_unknown_fields_stay_as_they_were_written() {
        let stream = stream("");
        let body = br#"{"data":[{"id":9007199254740993,"price":19.90,"v":1.0,"new":{"x":[]},"gone":true}]}"#;

        let page = come(&stream, &Cursor::default(), body, None).unwrap();

        assert_eq!(
            page.records,
            [NewRecord {
                key: "9007199254740993".into(),
                version: Some("1.0".into()),
                data: r#"{"id":9007199254740993,"price":19.90,"v":1.0,"new":{"x":[]},"gone":true}"#
                    .into(),
                deleted: true,
            }]
        );
    }

    #[test]
    fn a_position_that_does_not_advance_is_not_followed() {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let first =
            answer(&stream, &Cursor::default(), &json!({ "data": things(&[1]), "next": "a" }))
                .unwrap();

        let stuck = answer(&stream, &first.cursor, &json!({ "data": things(&[2]), "next": "a" }));

        assert_eq!(stuck, Err(Error::Stuck));
    }

    #[test]
    fn pages_that_go_round_in_a_circle_are_noticed() {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let mut cursor = Cursor::default();
        let mut pages = 0;

        let end = loop {
            let next = ["a", "b", "c"][pages % 3];
            let body = json!({ "data": things(&[pages as u64]), "next": next });
            match answer(&stream, &cursor, &body) {
                Ok(page) => cursor = page.cursor,
                Err(error) => break error,
            }
            pages += 1;
        };

        assert_eq!(end, Error::Circle);
        assert!(pages < 12, "{pages}");
    }

    #[test]
    fn a_next_address_on_another_host_is_not_followed() {
        let stream = stream("page: { next_url: .next }");
        for elsewhere in [
            "https://evil.example/things?p=2",
            "//evil.example/things",
            "http://shop.example/things?p=2",
            "https://shop.example:444/things",
            "https://user@shop.example/things",
        ] {
            let body = json!({ "data": things(&[1]), "next": elsewhere });
            let read = answer(&stream, &Cursor::default(), &body);
            assert!(matches!(read, Err(Error::OtherHost(_))), "{elsewhere}");
        }
        let itself = json!({ "data": things(&[1]), "next": "/things" });
        assert_eq!(answer(&stream, &Cursor::default(), &itself), Err(Error::Stuck));
    }

    #[test]
    fn what_is_no_data_says_what_it_is() {
        let stream = stream("");
        let check = |body: &str| come(&stream, &Cursor::default(), body.as_bytes(), None);

        assert_eq!(check("\n <!doctype html><p>Sign in</p>"), Err(Error::WebPage));
        for broken in ["", "{\"data\":[{\"id\":1}", "{\"data\":[]} {}", "{\"data\":[nul]}"] {
            assert!(matches!(check(broken), Err(Error::Json(json::Error::Syntax(_)))), "{broken}");
        }
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(300), "]".repeat(300));
        assert_eq!(check(&deep), Err(Error::Json(json::Error::TooDeep)));
        assert!(check("\u{feff}{\"data\":[{\"id\":1}]}").is_ok());
    }

    #[test]
    fn what_changed_while_pages_were_read_is_asked_for_again() {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let asked = "https://shop.example/things".parse().unwrap();
        let sent_at = Some("2026-11-24T10:00:03Z".parse().unwrap());
        let read = |cursor: &Cursor, body: &Value| {
            let body = body.to_string();
            let answer = Answer { body: body.as_bytes(), link: None, sent_at, asked: &asked };
            super::read(&stream, cursor, answer, now()).unwrap()
        };

        let first = read(&Cursor::default(), &json!({ "data": things(&[1]), "next": "b" }));
        let last = read(&first.cursor, &json!({ "data": things(&[9]) }));

        assert_eq!(last.newest_at, read_time("2026-11-24T10:00:09Z", TimeFormat::Rfc3339));
        assert_eq!(last.cursor.since, sent_at);
    }

    #[test]
    fn pages_are_gone_on_with_for_a_day_and_in_the_same_way() {
        let first = stream("page: { cursor: { param: cursor, at: .next } }");
        let page =
            answer(&first, &Cursor::default(), &json!({ "data": things(&[1]), "next": "b" }));
        let cursor = page.unwrap().cursor;
        let day = SignedDuration::from_hours(24);

        assert_eq!(cursor.clone().go_on(&first, now() + day), cursor);
        let second = SignedDuration::from_secs(1);
        assert!(cursor.clone().go_on(&first, now() + day + second).is_between_runs());
        let other = stream("page: { page: { param: page } }");
        assert!(cursor.go_on(&other, now()).is_between_runs());
    }

    #[test]
    fn a_page_that_comes_again_is_not_taken_for_news() {
        let stream = stream("page: { page: { param: page } }");
        let same = json!({ "data": things(&[1, 2]) });
        let first = answer(&stream, &Cursor::default(), &same).unwrap();

        assert_eq!(answer(&stream, &first.cursor, &same), Err(Error::Repeated));
    }

    #[test]
    fn pages_without_an_end_are_a_fault() {
        let stream = stream("page: { page: { param: page } }");
        let at = |pages| Cursor { pages, position: Position::Page(pages), ..Cursor::default() };
        let page = json!({ "data": things(&[1]) });

        assert!(answer(&stream, &at(MAX_PAGES - 2), &page).is_ok());
        assert_eq!(answer(&stream, &at(MAX_PAGES - 1), &page), Err(Error::Endless));
    }

    #[test]
    fn an_answer_without_records_or_keys_says_so() {
        let stream = stream("");
        let check = |body: Value| answer(&stream, &Cursor::default(), &body);

        assert_eq!(check(json!({ "error": "no" })), Err(Error::NoRecords(".data".into())));
        for bad in [json!({}), json!({ "id": null }), json!({ "id": "" }), json!({ "id": [1] })] {
            let page = json!({ "data": [{ "id": 1 }, bad] });
            assert_eq!(check(page), Err(Error::NoKey { number: 2, key: ".id".into() }));
        }
        assert!(matches!(check(json!([])), Err(Error::Expression(_))));
    }

    #[test]
    fn times_are_read_and_written_in_every_form() {
        let time: Timestamp = "2026-11-24T10:00:01.250Z".parse().unwrap();
        for (format, text, back) in [
            (TimeFormat::Rfc3339, "2026-11-24T10:00:01.250Z", time),
            (TimeFormat::EpochSeconds, "1795514401", cut(time, Granularity::Second)),
            (TimeFormat::EpochMillis, "1795514401250", time),
            (TimeFormat::Date, "2026-11-24", cut(time, Granularity::Day)),
        ] {
            assert_eq!(written(time, format), text);
            assert_eq!(read_time(text, format), Some(back));
            assert_eq!(read_time("soon", format), None);
        }
    }

    proptest! {
        #[test]
        fn a_run_that_stops_anywhere_reads_each_record_once(pages in proptest::collection::vec(1usize..4, 1..8)) {
            let stream = stream("page: { cursor: { param: cursor, at: .next } }");
            let (mut id, mut cursor, mut seen) = (0u64, Cursor::default(), Vec::new());
            for (place, size) in pages.iter().enumerate() {
                let ids: Vec<u64> = (0..*size).map(|_| { id += 1; id }).collect();
                let next = (place + 1 < pages.len()).then(|| format!("p{place}"));
                let page = answer(&stream, &cursor, &json!({ "data": things(&ids), "next": next })).unwrap();
                seen.extend(page.records.iter().map(|record| record.key.clone()));
                cursor = serde_json::from_str(&serde_json::to_string(&page.cursor).unwrap()).unwrap();
                prop_assert_eq!(page.done, next.is_none());
            }
            let all: Vec<String> = (1..=id).map(|id| id.to_string()).collect();
            prop_assert_eq!(seen, all);
            prop_assert!(cursor.is_between_runs());
        }
    }
}
