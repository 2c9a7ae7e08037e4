//! Change notices as server-sent events.
//!
//! A notice says what to fetch again. Its number is the event's id, so that a reader who was cut
//! off goes on with `Last-Event-ID` and misses nothing; one who was away for too long gets
//! `{"noun": "*"}`.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use engine::Engine;
use engine::changes::Notice;
use futures::{Stream, StreamExt};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// How long the stream is silent at most, so that a reader notices a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What to fetch again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    noun: ChangedNoun,
    /// Of which inbox alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<String>,
    /// The newest id.
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to: Option<String>,
    /// How many were added since the last notice.
    added: u64,
}

/// A noun of which something changed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangedNoun {
    Events,
    Refusals,
    Inboxes,
    Connections,
    Syncs,
    Records,
    Tunnels,
    Status,
    /// Too much was missed: fetch all again.
    #[serde(rename = "*")]
    All,
}

impl From<engine::changes::Noun> for ChangedNoun {
    fn from(noun: engine::changes::Noun) -> Self {
        use engine::changes::Noun;
        match noun {
            Noun::Events => Self::Events,
            Noun::Refusals => Self::Refusals,
            Noun::Inboxes => Self::Inboxes,
            Noun::Connections => Self::Connections,
            Noun::Syncs => Self::Syncs,
            Noun::Records => Self::Records,
            Noun::Tunnels => Self::Tunnels,
            Noun::Status => Self::Status,
            Noun::All => Self::All,
        }
    }
}

impl From<Notice> for Change {
    fn from(notice: Notice) -> Self {
        Self {
            noun: notice.noun.into(),
            inbox: notice.inbox.map(|inbox| inbox.to_string()),
            up_to: notice.up_to,
            added: notice.added,
        }
    }
}

/// Tells what changed, as it changes. Each event's data is a `Change`.
#[utoipa::path(
    get,
    path = "/api/changes",
    tag = "changes",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Go on after this one")),
    responses(
        (status = OK, content_type = "text/event-stream", body = Change),
        (status = "default", body = ApiError)
    ),
)]
pub(crate) async fn watch_changes(
    State(engine): State<Engine>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let after = last_event_id(&headers)?;
    let events = engine.changes().watch(after).map(|(number, notice)| Ok(event(number, notice)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| ApiError::invalid("`Last-Event-ID` is not a number".to_owned()))
}

fn event(number: u64, notice: Notice) -> Event {
    let data = serde_json::to_string(&Change::from(notice)).expect("a notice is plain data");
    Event::default().id(number.to_string()).data(data)
}
