//! Streams: collections of an API, and how to read them.
//!
//! A stream is asked for in one of three ways: page by page ([`Source::Pages`]), as a job that
//! makes a file ([`Source::Job`]), or as a journal of files ([`Source::Journal`]). How the next
//! page is found ([`Paging`]) and how only what changed is asked for ([`Since`]) are choices of
//! their own, since providers combine them freely.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Ask, Graphql, asking};
use super::one_of::{OneOrMany, one_of, text_list_or_object};
use super::paging::Paging;
use super::settled::{self, BySetting, Choices};
use super::span::Span;
use crate::expression::Expression;
use crate::template::Template;

/// One collection.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Stream {
    /// What people call it; its id with a capital where it is not given.
    pub title: Option<String>,
    /// The ways in that can read it; all where there are none.
    pub ways: Vec<String>,
    /// How it is asked for.
    pub source: Source,
    /// What an answer is written in.
    pub answer: AnswerFormat,
    /// Where the records are in an answer. A list yields its items.
    pub records: Expression,
    /// Whether an answer without anything at `records` is an empty page: some leave the key out
    /// when there is nothing.
    pub may_be_missing: bool,
    /// Members that are added to each record before anything else is read from it, as texts over
    /// `parent`, `settings` and `token`.
    pub add: IndexMap<String, Template>,
    /// What tells records apart; several are joined.
    pub key: Vec<Expression>,
    /// Which version a record is.
    pub version: Option<Expression>,
    /// Whether a record says that its thing is gone.
    pub deleted: Option<Expression>,
    /// How things that are gone are found where no record says it.
    pub deletions: Deletions,
    /// The stream for each of whose records this one is read.
    pub parent: Option<Parent>,
    /// How the next page is found; one page is all where it is not given.
    pub page: Option<Paging>,
    /// How only what changed is asked for.
    pub since: Option<Since>,
    /// How many records there are in all.
    pub total: Option<Expression>,
    /// Whether the other side can say that nothing has changed, by `etag` or `last-modified`.
    pub conditional: bool,
    /// What settings decide; see [`Stream::settled`].
    pub choices: Choices,
    /// Whether settings decide something of it, by these choices or in its jq and texts.
    pub(super) unsettled: bool,
}

/// How a stream is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Page by page.
    Pages(Box<Ask>),
    /// As a job that makes one or several files.
    Job(Box<Job>),
    /// As a journal: an answer names a file, and where to go on.
    Journal(Box<Journal>),
}

asking! {
    /// The written form of a [`Stream`].
    #[schemars(rename = "Stream")]
    pub(crate) struct Written {
        /// What people call it.
        title: Option<String>,
        /// The ways in that can read it; all where it is not given.
        #[serde(default)]
        ways: Vec<String>,
        /// A job that makes a file.
        job: Option<Box<Job>>,
        /// A journal of files.
        journal: Option<Box<Journal>>,
        /// What an answer is written in; JSON where it is not given.
        answer: Option<AnswerFormat>,
        /// The same, as a setting decides.
        answer_by: Option<BySetting<AnswerFormat>>,
        /// Where the records are in an answer.
        #[serde(deserialize_with = "settled::expression")]
        records: Expression,
        /// Whether nothing at `records` is an empty page.
        #[serde(default)]
        may_be_missing: bool,
        /// Members that are added to each record.
        #[serde(default)]
        add: IndexMap<String, Template>,
        /// What tells records apart: one expression or several.
        #[serde(deserialize_with = "settled::one_or_many")]
        #[schemars(with = "OneOrMany<Expression>")]
        key: Vec<Expression>,
        /// Which version a record is.
        #[serde(default, deserialize_with = "settled::optional")]
        version: Option<Expression>,
        /// Whether a record says that its thing is gone.
        #[serde(default, deserialize_with = "settled::optional")]
        deleted: Option<Expression>,
        /// How things that are gone are found where no record says it.
        #[serde(default)]
        deletions: Deletions,
        /// The stream for each of whose records this one is read.
        parent: Option<Parent>,
        /// How the next page is found.
        page: Option<Paging>,
        /// The same, as a setting decides; `null` for one page.
        page_by: Option<BySetting<Option<Paging>>>,
        /// How only what changed is asked for.
        since: Option<Since>,
        /// The same, as a setting decides; `null` for everything.
        since_by: Option<BySetting<Option<Since>>>,
        /// How many records there are in all.
        #[serde(default, deserialize_with = "settled::optional")]
        total: Option<Expression>,
        /// Whether the other side can say that nothing has changed.
        #[serde(default)]
        conditional: bool,
    }
}

impl TryFrom<Written> for Stream {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, String> {
        let ask = written.take_ask();
        let source = match (written.job, written.journal) {
            (Some(_), Some(_)) => return Err("`job` and `journal` exclude each other".into()),
            (Some(job), None) => Source::Job(job),
            (None, Some(journal)) => Source::Journal(journal),
            (None, None) => Source::Pages(Box::new(ask.try_into()?)),
        };
        if written.key.is_empty() {
            return Err("`key` needs at least one expression".into());
        }
        let twice = [
            ("answer", written.answer.is_some() && written.answer_by.is_some()),
            ("page", written.page.is_some() && written.page_by.is_some()),
            ("since", written.since.is_some() && written.since_by.is_some()),
        ];
        if let Some((word, _)) = twice.iter().find(|(_, twice)| *twice) {
            return Err(format!("`{word}` and `{word}_by` exclude each other"));
        }
        let choices =
            Choices { answer: written.answer_by, page: written.page_by, since: written.since_by };
        let mut stream = Self {
            title: written.title,
            ways: written.ways,
            source,
            answer: written.answer.unwrap_or_default(),
            records: written.records,
            may_be_missing: written.may_be_missing,
            add: written.add,
            key: written.key,
            version: written.version,
            deleted: written.deleted,
            deletions: written.deletions,
            parent: written.parent,
            page: written.page,
            since: written.since,
            total: written.total,
            conditional: written.conditional,
            choices,
            unsettled: false,
        };
        stream.unsettled = stream.asks_settings();
        Ok(stream)
    }
}

impl JsonSchema for Stream {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

impl Stream {
    /// A list that is read page by page as it is now. One without anything in it may lack the place
    /// where its records are.
    pub(super) fn of_pages(
        ask: Box<Ask>,
        records: Expression,
        key: Expression,
        page: Option<Paging>,
    ) -> Self {
        let mut stream = Self {
            title: None,
            ways: Vec::new(),
            source: Source::Pages(ask),
            answer: AnswerFormat::default(),
            records,
            may_be_missing: true,
            add: IndexMap::new(),
            key: vec![key],
            version: None,
            deleted: None,
            deletions: Deletions::default(),
            parent: None,
            page,
            since: None,
            total: None,
            conditional: false,
            choices: Choices::default(),
            unsettled: false,
        };
        stream.unsettled = stream.asks_settings();
        stream
    }

    /// The requests that it is made of.
    pub fn asks(&self) -> Vec<&Ask> {
        match &self.source {
            Source::Pages(ask) => vec![&**ask],
            Source::Job(job) => {
                let further = [&job.poll, &job.download, &job.cancel];
                [&job.create].into_iter().chain(further.into_iter().flatten()).collect()
            }
            Source::Journal(journal) => vec![&journal.first, &journal.next],
        }
    }

    /// Its GraphQL documents, to be read from their files.
    pub(super) fn graphqls(&mut self) -> Vec<&mut Graphql> {
        let asks = match &mut self.source {
            Source::Pages(ask) => vec![&mut **ask],
            Source::Job(job) => {
                let mut asks = vec![&mut job.create];
                asks.extend(job.poll.as_mut());
                asks.extend(job.download.as_mut());
                asks.extend(job.cancel.as_mut());
                asks
            }
            Source::Journal(_) => Vec::new(),
        };
        asks.into_iter().filter_map(Ask::graphql_mut).collect()
    }
}

/// A job: it is made, asked after until it is done, and leaves one or several files. Texts of
/// `poll` and `download` may speak of `job.id`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Makes it.
    pub create: Ask,
    /// Its id, in the answer to `create`.
    #[serde(default)]
    pub id: Option<Expression>,
    /// Asks after it. Its answer is what the expressions below are about.
    pub poll: Option<Ask>,
    /// How often it is asked after.
    #[serde(default = "ten_seconds")]
    pub every: Span,
    /// How long it may take.
    #[serde(default = "a_day")]
    pub within: Span,
    /// Whether it is done.
    pub done: Expression,
    /// Whether it has failed.
    #[serde(default)]
    pub failed: Option<Expression>,
    /// Why it has failed.
    #[serde(default)]
    pub why: Option<Expression>,
    /// The addresses of its files: one, a list, or none where there was nothing to write.
    #[serde(default)]
    pub urls: Option<Expression>,
    /// How its file is asked for, where it has no address of its own. `page` is about this then.
    #[serde(default)]
    pub download: Option<Ask>,
    /// Ends it, when a run is cancelled before it is done.
    #[serde(default)]
    pub cancel: Option<Ask>,
}

const fn ten_seconds() -> Span {
    Span::seconds(10)
}

const fn a_day() -> Span {
    Span::seconds(86_400)
}

/// A journal: an answer names a file and where to go on. Where it goes on is the sync cursor.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// Asks for the first file that there is.
    pub first: Ask,
    /// Asks for the one after `{{ offset }}`.
    pub next: Ask,
    /// Where to go on, in the answer.
    pub offset: Expression,
    /// The address of the file, in the answer. It is called without credentials.
    pub url: Expression,
    /// The status that says that there is nothing more yet.
    #[serde(default = "no_content")]
    pub empty: u16,
}

const fn no_content() -> u16 {
    204
}

/// What an answer is written in. What is packed with gzip is unpacked, whoever says so.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum AnswerFormat {
    /// JSON.
    #[default]
    Json,
    /// One JSON value on each line: `records` is about the list of them.
    Jsonl,
    /// Lines of values, as objects: `records` is about the list of them.
    Csv(Csv),
    /// XML, as objects: attributes are `@name`, text is `#text`, and an element that has neither
    /// attributes nor children is its text. One that comes several times is a list.
    Xml,
    /// A zip archive with a file in one of the formats above.
    Zip(Zip),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AnswerFormatObject")]
struct WrittenFormat {
    /// Lines of values.
    csv: Option<Csv>,
    /// A zip archive with a file that matches.
    zip: Option<Zip>,
}

text_list_or_object! {
    AnswerFormat: "one of json, jsonl, csv, xml, or `{ csv: … }`, `{ zip: … }`",
    words: ["json", "jsonl", "csv", "xml"],
    text: |text| match text {
        "json" => Ok(AnswerFormat::Json),
        "jsonl" => Ok(AnswerFormat::Jsonl),
        "csv" => Ok(AnswerFormat::Csv(Csv::default())),
        "xml" => Ok(AnswerFormat::Xml),
        other => Err(format!(
            "unknown variant `{other}`, expected one of json, jsonl, csv, xml, or `{{ csv: … }}`, \
             `{{ zip: … }}`"
        )),
    },
    object: WrittenFormat => |written: WrittenFormat| one_of([
        ("csv", written.csv.map(AnswerFormat::Csv)),
        ("zip", written.zip.map(AnswerFormat::Zip)),
    ]),
}

/// Lines of values.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// What stands between values: one character, or `tab`.
    #[serde(default = "comma")]
    pub separator: String,
    /// The names of the values, where the first line does not give them.
    #[serde(default)]
    pub columns: Vec<String>,
}

fn comma() -> String {
    ",".into()
}

impl Default for Csv {
    fn default() -> Self {
        Self { separator: comma(), columns: Vec::new() }
    }
}

/// A zip archive.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zip {
    /// The file in it: its name, or one with `*`.
    pub file: String,
    /// What the file is written in.
    pub answer: Box<AnswerFormat>,
}

/// How things that are gone are found.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Deletions {
    /// They are not.
    #[default]
    None,
    /// What a full run did not bring is gone.
    Sweep,
    /// By another stream, whose records have the keys of what is gone.
    Stream(String),
}

/// The stream for each of whose records another is read: `parent: forms`. Texts may speak of
/// `parent`, which is that record.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// Which.
    pub stream: String,
    /// For which of its records.
    pub when: Option<Expression>,
    /// Whether the newest time is kept for each parent, and not for all together.
    pub cursor_each: bool,
    /// Whether it is read only for those that have changed since it was read for them.
    pub changed: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ParentObject")]
struct WrittenParent {
    /// Which stream.
    stream: String,
    /// For which of its records; all where it is not given.
    when: Option<Expression>,
    /// Whether the newest time is kept for each parent, and not for all together.
    #[serde(default)]
    cursor_each: bool,
    /// Whether only for those that have changed since, which is right where a record changes
    /// whenever something below it does.
    #[serde(default)]
    changed: bool,
}

text_list_or_object! {
    Parent: "the name of a stream, or `{ stream: …, when: … }`",
    text: |text: &str| Ok::<_, String>(Parent {
        stream: text.into(),
        when: None,
        cursor_each: false,
        changed: false,
    }),
    object: WrittenParent => |it: WrittenParent| {
        let WrittenParent { stream, when, cursor_each, changed } = it;
        Ok::<_, String>(Parent { stream, when, cursor_each, changed })
    },
}

/// How only what changed since the last run is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenSince")]
pub struct Since {
    /// How it is told.
    pub by: SinceBy,
    /// Its text, where it is more than the cursor: `"updated_at:>='{{ cursor }}'"`.
    pub text: Option<Template>,
    /// What becomes the cursor, in a record: the newest of all is kept.
    pub field: Expression,
    /// How it is written in a request, and in the field unless `field_as` says otherwise.
    pub format: CursorFormat,
    /// How it is written in the field.
    pub field_format: CursorFormat,
    /// How much is read again, since clocks differ and writes overtake each other.
    pub overlap: Option<Span>,
    /// How fine the filter is.
    pub granularity: Granularity,
    /// Where the first run begins: everything where it is not given.
    pub begin: Option<Begin>,
    /// The end of what is asked for, where the other side wants one.
    pub until: Option<Until>,
    /// How much time one round of pages may cover: it needs `until`.
    pub window: Option<Span>,
    /// How many records one round of pages may have, and what is done beyond.
    pub cap: Option<Cap>,
}

/// How the other side is told since when.
#[derive(Debug, Clone, PartialEq)]
pub enum SinceBy {
    /// By a query parameter.
    Param(String),
    /// By a variable of the GraphQL document.
    Variable(String),
    /// By a member of the JSON body or a field of the form: names with dots between them.
    Body(String),
    /// By `{{ cursor }}` in the texts of the request.
    Text,
    /// Not at all: the newest come first, and pages end where they are older.
    NewestFirst,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Since")]
pub(crate) struct WrittenSince {
    /// The query parameter.
    param: Option<String>,
    /// The variable of the GraphQL document.
    variable: Option<String>,
    /// The member of the JSON body or field of the form: `filter.since`.
    body: Option<String>,
    /// Whether there is no filter, and the newest come first: pages end where they are older.
    newest_first: Option<bool>,
    /// Its text, where it is more than the cursor.
    text: Option<Template>,
    /// What becomes the cursor, in a record.
    #[serde(deserialize_with = "settled::expression")]
    field: Expression,
    /// How it is written.
    #[serde(default, rename = "as")]
    format: CursorFormat,
    /// How it is written in the field, where that is otherwise.
    field_as: Option<CursorFormat>,
    /// How much is read again.
    overlap: Option<Span>,
    /// How fine the filter is.
    #[serde(default)]
    granularity: Granularity,
    /// Where the first run begins: a span before now, or a text.
    begin: Option<Begin>,
    /// The end of what is asked for, where the other side wants one.
    until: Option<Until>,
    /// How much time one round of pages may cover.
    window: Option<Span>,
    /// How many records one round of pages may have.
    cap: Option<Cap>,
}

impl TryFrom<WrittenSince> for Since {
    type Error = String;

    fn try_from(written: WrittenSince) -> Result<Self, String> {
        let choices = [
            ("param", written.param.map(SinceBy::Param)),
            ("variable", written.variable.map(SinceBy::Variable)),
            ("body", written.body.map(SinceBy::Body)),
            ("newest_first", written.newest_first.filter(|it| *it).map(|_| SinceBy::NewestFirst)),
        ];
        let none = choices.iter().all(|(_, choice)| choice.is_none());
        let by = if none { SinceBy::Text } else { one_of(choices)? };
        if written.window.is_some() && written.until.is_none() {
            return Err("`window` needs `until`, which says where it ends".into());
        }
        let is_time = written.format.is_time();
        if !is_time && (written.overlap.is_some() || written.window.is_some()) {
            return Err("`overlap` and `window` are for times".into());
        }
        if matches!(written.cap, Some(Cap { then: Beyond::Halve, .. })) && written.until.is_none() {
            return Err("`then: halve` needs `until`, which says where a round ends".into());
        }
        Ok(Self {
            by,
            text: written.text,
            field: written.field,
            field_format: written.field_as.unwrap_or_else(|| written.format.clone()),
            format: written.format,
            overlap: written.overlap,
            granularity: written.granularity,
            begin: written.begin,
            until: written.until,
            window: written.window,
            cap: written.cap,
        })
    }
}

impl JsonSchema for Since {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenSince::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenSince::json_schema(generator)
    }
}

/// Where the first run begins: `365d` before now, or a text as the cursor is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "String")]
pub enum Begin {
    /// So long before now.
    Ago(Span),
    /// There.
    At(String),
}

impl From<String> for Begin {
    fn from(text: String) -> Self {
        text.parse().map_or(Self::At(text), Self::Ago)
    }
}

impl JsonSchema for Begin {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Begin".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time before now, or a cursor as the other side writes it",
        })
    }
}

/// The end of what is asked for. Its time is the end of the window, or now.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Until {
    /// A query parameter.
    Param(String),
    /// A variable of the GraphQL document.
    Variable(String),
    /// A member of the JSON body or a field of the form.
    Body(String),
    /// `{{ until }}` in the texts of the request.
    Text,
}

/// How many records one round of pages may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// How many.
    pub records: u64,
    /// What is done beyond.
    pub then: Beyond,
}

/// What is done where there are more records than a round of pages may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// A new round begins at the newest that was seen: needs the oldest first.
    Restart,
    /// Half of the window is asked for: needs `total`, or a provider that says no.
    Halve,
}

/// How a cursor is written, and by what it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CursorFormat {
    /// RFC 3339 with milliseconds: `2026-11-24T08:00:00.000Z`.
    #[default]
    Rfc3339,
    /// RFC 3339 with whole seconds: `2026-11-24T08:00:00Z`.
    Rfc3339Seconds,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// A day: `2026-11-24`, in UTC.
    Date,
    /// A date and time without a zone, meant in UTC: `2026-11-24T08:00:00`.
    Civil,
    /// As mail writes it: `Tue, 24 Nov 2026 08:00:00 +0000`.
    Rfc2822,
    /// By a pattern of `strftime`, meant in UTC: `{ strftime: "%m-%d-%Y" }`.
    Strftime(String),
    /// Not a time: a whole number, or a snowflake, of any size.
    Integer,
    /// Not a time: a number with decimals that must stay as it is: `1700000000.123456`.
    Decimal,
    /// Not a time: a text, in the order of its characters.
    Text,
}

impl CursorFormat {
    /// Whether it is a time.
    pub const fn is_time(&self) -> bool {
        !matches!(self, Self::Integer | Self::Decimal | Self::Text)
    }
}

/// How fine a filter is: what is finer is cut off, so that nothing is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// Milliseconds.
    #[default]
    Millisecond,
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Days.
    Day,
}
