//! Fixtures: what an API answers and sends, recorded beside its connector, and played against it.
//!
//! They are the connector's test: a delivery must be accepted (or refused for the reason that is
//! written down) and say what is expected; pages must be asked for in turn and give their records.
//! A delivery that is accepted is also played changed and without each header of its signature,
//! since a rule that accepts everything would pass otherwise.
//!
//! Names of hosts and people in them are made up, and secrets are ones that nobody uses.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::connector::{Connector, Stream, Verify};
use crate::event::About;
use crate::intake::{self, Said};
use crate::paging::{self, Cursor, PageRequest};
use crate::refusal::Reason;
use crate::secret::{Secret, Secrets};
use crate::signature::{self, Request};

/// One recorded file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Fixture {
    /// A request that a sender made.
    Delivery(Box<Delivery>),
    /// The pages of a stream.
    Pages(Box<Pages>),
}

/// A request that a sender made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// When it came.
    pub at: Timestamp,
    /// The secrets of the inbox, the newest first.
    #[serde(default)]
    pub secrets: BTreeMap<String, Vec<String>>,
    /// The request.
    pub request: Recorded,
    /// What is made of it.
    pub expect: Expect,
}

/// A request as *Export request* writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, where it is text.
    #[serde(default)]
    pub body: String,
}

/// What is made of a delivery.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Expect {
    /// It is believed, and says this.
    Accepted(Box<Expected>),
    /// It is not.
    Refused(Reason),
}

/// What a delivery says. What is left out is not compared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// See [`Said::event_type`].
    #[serde(default, rename = "type")]
    pub event_type: Option<String>,
    /// See [`Said::title`].
    #[serde(default)]
    pub title: Option<String>,
    /// See [`Said::external_id`].
    #[serde(default)]
    pub external_id: Option<String>,
    /// See [`Said::about`].
    #[serde(default)]
    pub about: Option<About>,
    /// See [`Said::occurred_at`].
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// Whether a repeat is recognised.
    #[serde(default)]
    pub repeat_is_recognised: Option<bool>,
}

/// The pages of a stream, from the first run's first to the last.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// When they were read.
    pub at: Timestamp,
    /// Which stream.
    pub stream: String,
    /// What the connector's texts may speak of: `{"settings": {…}}`.
    #[serde(default)]
    pub values: Value,
    /// The pages in turn.
    pub pages: Vec<Page>,
    /// What the next run asks for first.
    #[serde(default)]
    pub then_asks: Option<String>,
}

/// One page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Path and query, not encoded: `/api/orders?limit=250`.
    pub asks: String,
    /// The answer's body.
    pub answer: Value,
    /// The answer's `link` header.
    #[serde(default)]
    pub link: Option<String>,
    /// The keys of its records.
    pub keys: Vec<String>,
    /// How many records there are in all.
    #[serde(default)]
    pub total: Option<u64>,
}

/// Reads `text` and plays it against `connector`.
///
/// # Errors
///
/// A sentence that says what was expected and what came instead.
pub fn play(connector: &Connector, text: &str) -> Result<(), String> {
    match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Fixture::Delivery(delivery) => delivery.play(connector),
        Fixture::Pages(pages) => pages.play(connector),
    }
}

impl Delivery {
    fn play(&self, connector: &Connector) -> Result<(), String> {
        let webhooks = connector.webhooks.as_ref().ok_or("the connector has no webhooks")?;
        let verdict = self.judge(&webhooks.verify, &self.request);
        match (&self.expect, verdict) {
            (Expect::Accepted(expected), Ok(header)) => {
                self.play_forged(&webhooks.verify, header.as_deref())?;
                let said = self.request.with(|request| intake::read(webhooks, request, self.at));
                expected.compare(&said)
            }
            (Expect::Refused(reason), Err(error)) if error.reason() == *reason => Ok(()),
            (Expect::Refused(reason), Err(error)) => {
                Err(format!("expected it to be refused as {reason:?}, but {error}"))
            }
            (Expect::Accepted(_), Err(error)) => {
                Err(format!("expected it to be accepted, but {error}"))
            }
            (Expect::Refused(reason), Ok(_)) => {
                Err(format!("expected it to be refused as {reason:?}, but it was accepted"))
            }
        }
    }

    /// The header that carried the signature, where it is believed.
    fn judge(
        &self,
        verify: &Verify,
        request: &Recorded,
    ) -> Result<Option<String>, signature::Error> {
        let mut secrets = Secrets::new();
        for (name, values) in &self.secrets {
            values.iter().for_each(|value| secrets.add(name, Secret::new(value.clone())));
        }
        request
            .with(|request| signature::verify(verify, request, &secrets, self.at))
            .map(|verified| verified.detail.header)
    }

    /// The same with another body, and without its signature, must be refused.
    fn play_forged(&self, verify: &Verify, header: Option<&str>) -> Result<(), String> {
        let Some(header) = header else { return Ok(()) };
        let mut changed = self.request.clone();
        changed.body.push(' ');
        let mut unsigned = self.request.clone();
        unsigned.headers.retain(|(name, _)| name != header);
        for (forged, reason) in [(changed, Reason::WrongSignature), (unsigned, Reason::Unsigned)] {
            match self.judge(verify, &forged) {
                Err(error) if error.reason() == reason => {}
                other => return Err(format!("expected {reason:?} of a forged one, got {other:?}")),
            }
        }
        Ok(())
    }
}

impl Recorded {
    fn with<T>(&self, f: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        f(&Request {
            method: &self.method,
            url: &self.url,
            headers: &headers,
            body: self.body.as_bytes(),
        })
    }
}

impl Expected {
    fn compare(&self, said: &Said) -> Result<(), String> {
        same("type", self.event_type.as_ref(), Some(&said.event_type))?;
        same("title", self.title.as_ref(), Some(&said.title))?;
        same("external_id", self.external_id.as_ref(), said.external_id.as_ref())?;
        same("about", self.about.as_ref(), said.about.as_ref())?;
        same("occurred_at", self.occurred_at.as_ref(), said.occurred_at.as_ref())?;
        let recognised = said.key.is_some();
        same("repeat_is_recognised", self.repeat_is_recognised.as_ref(), Some(&recognised))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: Option<&T>,
    found: Option<&T>,
) -> Result<(), String> {
    match expected {
        Some(_) if expected != found => {
            Err(format!("expected {what} to be {expected:?}, but it is {found:?}"))
        }
        _ => Ok(()),
    }
}

impl Pages {
    fn play(&self, connector: &Connector) -> Result<(), String> {
        let stream = connector.streams.get(&self.stream).ok_or("there is no such stream")?;
        let mut cursor = Cursor::default().go_on(stream, self.at);
        for (number, page) in (1..).zip(&self.pages) {
            let last = number == self.pages.len();
            cursor = self
                .play_page(stream, &cursor, page, last)
                .map_err(|problem| format!("page {number}: {problem}"))?;
        }
        let asks = self.asks(stream, &cursor.go_on(stream, self.at))?;
        same("then_asks", self.then_asks.as_ref(), Some(&asks))
    }

    fn play_page(
        &self,
        stream: &Stream,
        cursor: &Cursor,
        page: &Page,
        last: bool,
    ) -> Result<Cursor, String> {
        let asks = self.asks(stream, cursor)?;
        same("asks", Some(&page.asks), Some(&asks))?;
        let headers: Vec<_> = page.link.iter().map(|link| ("link", link.as_str())).collect();
        // No host is part of a fixture; what is asked is told by path and query.
        let asked = Url::parse("https://api.example")
            .and_then(|base| base.join(&asks))
            .map_err(|error| error.to_string())?;
        let body = page.answer.to_string();
        let answer = paging::Answer {
            body: body.as_bytes(),
            headers: &headers,
            sent_at: None,
            asked: &asked,
        };
        let read = paging::read(stream, cursor, answer, &self.values, self.at)
            .map_err(|error| error.to_string())?;
        let keys: Vec<_> = read.records.iter().map(|record| record.key.clone()).collect();
        same("keys", Some(&page.keys), Some(&keys))?;
        same("total", page.total.as_ref(), read.total.as_ref())?;
        same("done", Some(&last), Some(&read.done))?;
        Ok(read.cursor)
    }

    fn asks(&self, stream: &Stream, cursor: &Cursor) -> Result<String, String> {
        match paging::request(stream, cursor, &self.values).map_err(|error| error.to_string())? {
            PageRequest::Url { url, .. } => Ok(url),
            PageRequest::Ask(asked) if asked.query.is_empty() => Ok(asked.path),
            PageRequest::Ask(asked) => {
                let query: Vec<_> =
                    asked.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
                Ok(format!("{}?{}", asked.path, query.join("&")))
            }
        }
    }
}
