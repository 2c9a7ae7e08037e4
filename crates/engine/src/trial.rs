//! Trying a stream: its first page from the real other side, and what was asked for it.
//!
//! Nothing is stored, and nothing that a connector says here is believed: one that takes an answer
//! for the end of a sign-in ends none. The connector may be another than the one at hand, as it is
//! while somebody writes it; then it may call no host that the connection's own does not call,
//! since the credentials were given for those.
//!
//! A stream that is read once for each record of another is read for the first that fits.

use std::sync::Arc;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{Connector, Content, Source, Stream};
use domain::id::ConnectionId;
use domain::json::Json;
use domain::mask::{self, Known};
use domain::paging::{self, Cursor, PageRead, PageRequest};
use domain::record::{KEY_SEPARATOR, NewRecord};
use domain::secret::Secrets;
use serde_json::Value;

use crate::outgoing::{self, Exchange, Purpose, Unwatched};
use crate::sync::{READING, read_page};
use crate::{Engine, store};

/// How many streams may hang on one another.
const GENERATIONS: usize = 4;

/// Why there is no page to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connector has no such stream.
    #[error("it has no stream `{stream}`")]
    Stream {
        /// The one that was asked for.
        stream: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The connector is for another system than the connection.
    #[error("the connection is one of `{0}`")]
    OtherConnector(String),
    /// The connector would take the credentials where they were not given for.
    #[error("it calls {0}, which the connector of the connection does not")]
    OtherHost(String),
    /// The connection is switched off.
    #[error("the connection is switched off")]
    Off,
    /// The stream is read by a job or out of a journal.
    #[error("`{0}` is not read page by page, and cannot be tried")]
    NoPages(String),
    /// There is no record that the stream could be read for.
    #[error("the first page of `{0}` has no record to read it for")]
    NoParent(String),
    /// No answer, or not the one hoped for.
    #[error(transparent)]
    Outgoing(#[from] outgoing::Error),
    /// The answer is not what the connector says it is.
    #[error("{0}")]
    Page(String),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What came of trying a stream.
#[derive(Debug)]
pub struct Trial {
    /// Which stream.
    pub stream: String,
    /// The requests of the connection since it began, oldest first, secrets masked.
    pub requests: Vec<Exchange>,
    /// Its first page, or why there is none.
    pub page: Result<FirstPage, Error>,
}

/// A first page, secrets masked.
#[derive(Debug, Clone)]
pub struct FirstPage {
    /// Its records.
    pub records: Vec<NewRecord>,
    /// How many there are in all, where the answer says so.
    pub total: Option<u64>,
    /// Whether it is also the last.
    pub done: bool,
    /// The cursor that was found, as it would be stored.
    pub cursor: Value,
    /// What would be asked next: for the next page, or, where this is the last, by the next run.
    pub next: Option<Next>,
}

/// A request that would be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Its method.
    pub method: String,
    /// Its path below the connector's address and its query, not encoded; or a whole address.
    pub asks: String,
    /// What it carries.
    pub body: Option<String>,
}

impl Engine {
    /// Reads the first page of a stream with the credentials of a connection, as `connector` says,
    /// or the one at hand.
    ///
    /// # Errors
    ///
    /// Where nothing was called for want of a fitting connection or stream. What goes wrong with
    /// the calls is in the answer, beside what was asked.
    pub async fn try_stream(
        &self,
        id: ConnectionId,
        connector: Option<Connector>,
        stream: &str,
    ) -> Result<Trial, Error> {
        let connection = self.inner.store.connection(id).await?;
        if connection.connection.state == ConnectionState::Off {
            return Err(Error::Off);
        }
        let own = &connection.connection.connector;
        let missing = || outgoing::Error::Connector(format!("there is no connector `{own}`"));
        let at_hand = self.inner.connectors.get(own).ok_or_else(missing)?;
        let connector = connector.map_or_else(|| Arc::clone(&at_hand), Arc::new);
        if connector.id != at_hand.id {
            return Err(Error::OtherConnector(at_hand.id.clone()));
        }
        if !connector.streams.contains_key(stream) {
            let known = connector.streams.keys().cloned().collect();
            return Err(Error::Stream { stream: stream.into(), known });
        }

        let began = self.now();
        let page = self.first_page(&connection, &connector, &at_hand, stream).await;
        let mut requests = self.inner.outgoing.trace().exchanges(id);
        requests.retain(|exchange| exchange.at >= began);
        requests.reverse();
        Ok(Trial { stream: stream.into(), requests, page })
    }

    async fn first_page(
        &self,
        connection: &Connection,
        connector: &Arc<Connector>,
        at_hand: &Connector,
        stream: &str,
    ) -> Result<FirstPage, Error> {
        let credential = self.credential(connection).await?;
        let mut values = self.values(connection, connector, &credential.values);
        let allowed = self.reach(at_hand, &values)?;
        let wanted = self.reach(connector, &values)?;
        if let Some(host) = wanted.hosts.iter().find(|host| !allowed.hosts.contains(host)) {
            return Err(Error::OtherHost(host.clone()));
        }

        let mut secrets = self.secrets_known_to_provider(connection, &[&credential]).await;
        let family = family(connector, stream)?;
        for (place, id) in family.iter().enumerate() {
            let page = self.page(connection, connector, id, &values, &secrets).await?;
            // A call may have renewed what it carries.
            let credential = self.credential(connection).await?;
            secrets = self.secrets_known_to_provider(connection, &[&credential]).await;
            let Some(child) = family.get(place + 1) else {
                let next = next(&connector.streams[id], &page, &values, self.now());
                // A page is as large as its provider likes.
                let shown = tokio::task::spawn_blocking(move || shown(page, next, &secrets)).await;
                return shown.map_err(|_| Error::Page("it cannot be shown".into()));
            };
            let parent = connector.streams[child].parent.as_ref();
            let when = parent.and_then(|parent| parent.when.as_ref());
            let fits = |record: &&NewRecord| {
                let Some(when) = when else { return !record.deleted };
                Json::parse(record.data.as_bytes()).is_ok_and(|it| when.holds(&it, self.now()))
            };
            let parent = page.records.iter().find(fits);
            let parent = parent.ok_or_else(|| Error::NoParent(id.clone()))?;
            values["parent"] = serde_json::from_str(&parent.data).unwrap_or_default();
        }
        Err(Error::NoParent(stream.into()))
    }

    async fn page(
        &self,
        connection: &Connection,
        connector: &Arc<Connector>,
        id: &str,
        values: &Value,
        secrets: &Secrets,
    ) -> Result<PageRead, Error> {
        let stream = &connector.streams[id];
        if !matches!(stream.source, Source::Pages(_)) {
            return Err(Error::NoPages(id.into()));
        }
        // An answer that cannot be read may quote what it was sent.
        let unfit = |error: paging::Error| Error::Page(mask::said(&error.to_string(), secrets));
        let stream = &*stream.settled(values).map_err(|error| unfit(error.into()))?;
        let cursor = Cursor::default().go_on(stream, self.now());
        let request = paging::request(stream, &cursor, values).map_err(unfit)?.into();
        let purpose = format!("trial of {id}");
        let purpose = Purpose::trial(&purpose);
        let answer = self.call_by(connection, connector, &request, purpose, &Unwatched).await?;

        let (connector, id, now) = (Arc::clone(connector), id.to_owned(), self.now());
        let values = values.clone();
        let reading = tokio::task::spawn_blocking(move || {
            read_page(&connector.streams[id.as_str()], &cursor, &answer, &values, now)
        });
        match tokio::time::timeout(READING, reading).await {
            Ok(Ok(page)) => page.map_err(unfit),
            // A panic in there is a bug of ours or of a library; the page cannot be read.
            Ok(Err(_)) | Err(_) => Err(Error::Page("its expressions take too long".into())),
        }
    }
}

/// The streams to read for one that is read for each record of another, the eldest first.
fn family(connector: &Connector, stream: &str) -> Result<Vec<String>, Error> {
    let mut family = vec![stream.to_owned()];
    while let Some(parent) = connector.streams[&family[0]].parent.as_ref() {
        if family.len() == GENERATIONS || !connector.streams.contains_key(&parent.stream) {
            return Err(Error::NoParent(parent.stream.clone()));
        }
        family.insert(0, parent.stream.clone());
    }
    Ok(family)
}

/// What would be asked after `page`; nothing where that cannot be said.
fn next(stream: &Stream, page: &PageRead, values: &Value, now: jiff::Timestamp) -> Option<Next> {
    let stream = &*stream.settled(values).ok()?;
    let cursor = page.cursor.clone().go_on(stream, now);
    match paging::request(stream, &cursor, values).ok()? {
        PageRequest::Url { url, .. } => Some(Next { method: "GET".into(), asks: url, body: None }),
        PageRequest::Ask(request) => {
            let pairs = request.query.iter().map(|(name, value)| format!("{name}={value}"));
            let query = pairs.collect::<Vec<_>>().join("&");
            let between = if query.is_empty() { "" } else { "?" };
            Some(Next {
                method: request.method.as_str().into(),
                asks: format!("{}{between}{query}", request.path),
                body: request.content.map(|content| match content {
                    Content::Json(value) => value.to_string(),
                    Content::Form(fields) => url::form_urlencoded::Serializer::new(String::new())
                        .extend_pairs(fields)
                        .finish(),
                    Content::Text(text) => text,
                }),
            })
        }
    }
}

fn shown(page: PageRead, next: Option<Next>, secrets: &Secrets) -> FirstPage {
    let known = Known::of(secrets);
    let masked = |text: &str| known.said(text);
    let records = page.records.into_iter().map(|record| NewRecord {
        key: masked(&record.key.replace(KEY_SEPARATOR, " ")),
        version: record.version.as_deref().map(masked),
        data: masked(&record.data),
        deleted: record.deleted,
    });
    let cursor = serde_json::to_string(&page.cursor).unwrap_or_default();
    FirstPage {
        records: records.collect(),
        total: page.total,
        done: page.done,
        cursor: serde_json::from_str(&masked(&cursor)).unwrap_or_default(),
        next: next.map(|next| Next {
            method: next.method,
            asks: masked(&next.asks),
            body: next.body.as_deref().map(masked),
        }),
    }
}
