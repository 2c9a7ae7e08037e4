//! What is remembered of requests: which secrets went where, and what the last ones that did not
//! go well looked like. Neither holds a secret's value.
//!
//! Both are kept in memory first. The ledger is written to the store every few moments, and before
//! it is read; what requests looked like is forgotten when the engine stops. A request is in the
//! ledger before it is sent, so that one that is given up is in it, too; where nobody was found to
//! talk to, it is taken back, though it may have been written meanwhile.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::connection::LedgerEntry;
use domain::id::ConnectionId;
use domain::mask::{self, Known};
use domain::secret::Secrets;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use url::Url;

use super::foreign::said_by;
use super::{Answer, Error, Request};

/// How many requests of a connection are remembered.
const REMEMBERED: usize = 10;
/// How much of a header is shown, in characters.
const HEADER: usize = 500;
/// How much of a body is shown, in bytes.
const SHOWN: usize = 4096;
/// Larger bodies, in bytes, are looked through apart from what must go on.
const AT_ONCE: usize = 16 * 1024;

/// Whose secrets a request carries, and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Carrying {
    /// Whose.
    pub(crate) connection: Option<ConnectionId>,
    /// What is carried, by the names that the vault knows them under. Values are for masking.
    pub(crate) secrets: Arc<Secrets>,
    /// What the request is for, in a few words.
    pub(crate) purpose: Arc<str>,
    /// Whether it is remembered though it goes well.
    pub(crate) watched: bool,
    /// Whether the answer is made of secrets: it is not shown then.
    pub(crate) brings_secrets: bool,
}

/// A request and what came of it, with its secrets masked.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// When it was sent.
    pub at: Timestamp,
    /// What it was for.
    pub purpose: String,
    /// Its method.
    pub method: String,
    /// Its address.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// The beginning of its body, where it has one.
    pub body: Option<String>,
    /// What came back, or why nothing did.
    pub answer: Result<Shown, String>,
}

/// An answer as it is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// The beginning of its body.
    pub body: String,
}

type Key = (ConnectionId, Vec<String>, String, String);

/// What is to be written to the ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    /// What went out, in the order of its beginning.
    pub(crate) sent: Vec<LedgerEntry>,
    /// What was written before as gone out, one request each, and has not.
    pub(crate) not_sent: Vec<LedgerEntry>,
}

impl Noted {
    /// Whether nothing is to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.not_sent.is_empty()
    }
}

#[derive(Default)]
struct Ledger {
    sent: HashMap<Key, LedgerEntry>,
    not_sent: Vec<LedgerEntry>,
}

/// What is remembered.
#[derive(Default)]
pub(crate) struct Trace {
    ledger: Mutex<Ledger>,
    exchanges: Mutex<HashMap<ConnectionId, VecDeque<Exchange>>>,
    /// Whether requests are remembered though they go well.
    all: AtomicBool,
}

impl Trace {
    /// From now on requests are remembered though they go well.
    pub(crate) fn remember_all(&self) {
        self.all.store(true, Ordering::Relaxed);
    }

    /// Notes that a request goes out with what it carries.
    pub(super) fn sent(&self, carrying: &Carrying, url: &Url, at: Timestamp) {
        let Some(once) = once(carrying, url, at) else { return };
        locked(&self.ledger).add(once);
    }

    /// Notes that a request, which was noted as going out at `at`, has not.
    pub(super) fn not_sent(&self, carrying: &Carrying, url: &Url, at: Timestamp) {
        let Some(once) = once(carrying, url, at) else { return };
        locked(&self.ledger).take_back(once);
    }

    /// What has been noted since this was asked last.
    pub(crate) fn take_ledger(&self) -> Noted {
        let Ledger { sent, not_sent } = std::mem::take(&mut *locked(&self.ledger));
        let mut sent: Vec<_> = sent.into_values().collect();
        sent.sort_by_key(|entry| entry.first_at);
        Noted { sent, not_sent }
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, noted: Noted) {
        let mut ledger = locked(&self.ledger);
        for entry in noted.sent {
            ledger.add(entry);
        }
        ledger.not_sent.extend(noted.not_sent);
    }

    /// Remembers a request, where it did not go well or somebody watches.
    pub(super) async fn remember(
        &self,
        request: &Request,
        answer: &Result<Answer, Error>,
        at: Timestamp,
    ) {
        let Some(carrying) = &request.carrying else { return };
        let Some(connection) = carrying.connection else { return };
        let good = answer.as_ref().is_ok_and(|answer| answer.status < 400);
        if good && !carrying.watched && !self.all.load(Ordering::Relaxed) {
            return;
        }
        let answer = answer.as_ref().map_err(ToString::to_string);
        let sent = request.body.as_ref().map_or(0, Bytes::len);
        if sent + answer.as_ref().map_or(0, |answer| answer.body.len()) <= AT_ONCE {
            let answer = answer.as_ref().map(|answer| *answer).map_err(String::as_str);
            return self.keep(connection, exchange(request, carrying, answer, at));
        }
        let (request, carrying, answer) = (request.clone(), carrying.clone(), answer.cloned());
        let shown = tokio::task::spawn_blocking(move || {
            exchange(&request, &carrying, answer.as_ref().map_err(String::as_str), at)
        });
        // It fails where the engine stops, or by a bug of ours; what was asked goes on.
        if let Ok(shown) = shown.await {
            self.keep(connection, shown);
        }
    }

    /// Remembers what a conversation looked like that is no request; its secrets are masked already.
    pub(super) fn keep(&self, connection: ConnectionId, exchange: Exchange) {
        let mut all = locked(&self.exchanges);
        let remembered = all.entry(connection).or_default();
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(exchange);
    }

    /// The last requests of a connection, newest first.
    pub(crate) fn exchanges(&self, id: ConnectionId) -> Vec<Exchange> {
        locked(&self.exchanges).get(&id).into_iter().flatten().rev().cloned().collect()
    }

    /// Forgets what requests of a connection looked like.
    pub(crate) fn forget(&self, id: ConnectionId) {
        locked(&self.exchanges).remove(&id);
    }
}

impl Ledger {
    fn add(&mut self, entry: LedgerEntry) {
        self.sent
            .entry(key(&entry))
            .and_modify(|known| {
                known.first_at = known.first_at.min(entry.first_at);
                known.last_at = known.last_at.max(entry.last_at);
                known.times += entry.times;
            })
            .or_insert(entry);
    }

    fn take_back(&mut self, once: LedgerEntry) {
        match self.sent.entry(key(&once)) {
            // It is among these, as they began no later.
            Entry::Occupied(mut known) if known.get().first_at <= once.first_at => {
                known.get_mut().times -= 1;
                if known.get().times == 0 {
                    known.remove();
                }
            }
            _ => self.not_sent.push(once),
        }
    }
}

fn key(entry: &LedgerEntry) -> Key {
    (entry.connection, entry.secrets.clone(), entry.host.clone(), entry.purpose.clone())
}

/// A request as an entry of its own; none where it carries no secret of a connection.
fn once(carrying: &Carrying, url: &Url, at: Timestamp) -> Option<LedgerEntry> {
    let connection = carrying.connection.filter(|_| !carrying.secrets.is_empty())?;
    Some(LedgerEntry {
        connection,
        secrets: carrying.secrets.names().map(str::to_owned).collect(),
        host: match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        },
        purpose: carrying.purpose.to_string(),
        first_at: at,
        last_at: at,
        times: 1,
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn exchange(
    request: &Request,
    carrying: &Carrying,
    answer: Result<&Answer, &str>,
    at: Timestamp,
) -> Exchange {
    let secrets = &carrying.secrets;
    let known = Known::of(secrets);
    let mut headers = masked(&request.headers, secrets, &known);
    headers.extend(
        request
            .credential
            .headers
            .iter()
            .map(|(name, _)| (name.to_string(), mask::MASKED.to_owned())),
    );
    let mut url = request.url.clone();
    if let Some(query) = request.url.query() {
        url.set_query(Some(&mask::query(query, secrets)));
    }
    if !request.credential.query.is_empty() {
        let names = request.credential.query.iter().map(|(name, _)| (name, mask::MASKED));
        url.query_pairs_mut().extend_pairs(names);
    }
    Exchange {
        at,
        purpose: carrying.purpose.to_string(),
        method: request.method.to_string(),
        url: known.said(url.as_str()),
        body: request.body.as_ref().map(|body| {
            let is_form = request
                .headers
                .get(http::header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().ends_with(b"form-urlencoded"));
            shown(body, &known, |text| match is_form {
                true => mask::query(&text, secrets),
                false => text,
            })
        }),
        headers,
        answer: match answer {
            Err(error) => Err(known.said(error)),
            Ok(answer) => Ok(Shown {
                status: answer.status,
                headers: masked(&answer.headers, secrets, &known),
                body: if carrying.brings_secrets && answer.status < 400 {
                    mask::MASKED.into()
                } else {
                    shown(&answer.body, &known, |text| text)
                },
            }),
        },
    }
}

fn masked(headers: &HeaderMap, secrets: &Secrets, known: &Known<'_>) -> Vec<(String, String)> {
    let pairs =
        headers.iter().map(|(name, value): (&HeaderName, _)| (name.as_str(), value.as_bytes()));
    let headers = mask::headers(pairs, secrets);
    // What an answer says in a header may be what it was sent, written in any way.
    headers.into_iter().map(|(name, value)| (name, said_by(known, &value, HEADER))).collect()
}

/// The beginning of a body, as text that can be shown. More of it is read than is shown, and it is
/// cut when its secrets are gone, since a part of one is not found.
fn shown(body: &[u8], known: &Known<'_>, prepared: impl FnOnce(String) -> String) -> String {
    let begin = &body[..body.len().min(SHOWN * 16)];
    let text = String::from_utf8_lossy(begin);
    let text = text.chars().filter(|it| !it.is_control() || matches!(it, '\n' | '\t')).collect();
    let text = prepared(text);
    let is_cut = begin.len() < body.len();
    cut(if is_cut { known.beginning(&text) } else { known.said(&text) })
}

fn cut(mut text: String) -> String {
    if text.len() > SHOWN {
        text.truncate(text.floor_char_boundary(SHOWN));
        text.push('…');
    }
    text
}

/// `text` with the secrets masked that are in it, however they are written.
pub(crate) fn without(text: &str, secrets: &Secrets) -> String {
    mask::said(text, secrets)
}
