//! The log: what arrived.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::event::{self, EventFilter};
use domain::id::{EventId, InboxId};
use domain::page::Slice;
use engine::Engine;
use http::header;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::extract::{Json, Path, Query};
use crate::list::{self, Count, filled, optional};
use crate::time::Time;
use crate::why::why;

/// One row of the log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EventSummary {
    id: String,
    inbox: String,
    inbox_name: String,
    /// The sender's word for what happened; empty where it has none.
    r#type: String,
    /// What it is about.
    title: String,
    /// The sender's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    received_at: Time,
    size_bytes: u64,
    origin: Origin,
    proof: Proof,
    /// How many times it arrived.
    arrived: u32,
    sandbox: bool,
}

/// How an event came.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// A webhook.
    Push,
    /// Fetched, because the webhook never came.
    Recovered,
    /// A change that a sync saw.
    Sync,
    /// Made by the user.
    Hand,
}

impl From<event::Origin> for Origin {
    fn from(origin: event::Origin) -> Self {
        match origin {
            event::Origin::Push => Self::Push,
            event::Origin::Recovered => Self::Recovered,
            event::Origin::Sync => Self::Sync,
            event::Origin::Hand => Self::Hand,
        }
    }
}

/// Why an event is believed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proof {
    /// Its signature was right.
    Verified,
    /// Nobody signed it, and the user allows that.
    Unsigned,
    /// Stored, to be verified when the vault opens.
    Held,
    /// The provider itself gave it to us.
    Recovered,
}

impl From<event::Proof> for Proof {
    fn from(proof: event::Proof) -> Self {
        match proof {
            event::Proof::Verified => Self::Verified,
            event::Proof::Unsigned => Self::Unsigned,
            event::Proof::Held => Self::Held,
            event::Proof::Recovered => Self::Recovered,
        }
    }
}

impl EventSummary {
    fn new(summary: event::EventSummary, names: &BTreeMap<InboxId, String>) -> Self {
        Self {
            id: summary.id.to_string(),
            inbox: summary.inbox.to_string(),
            inbox_name: name_of(summary.inbox, names),
            r#type: summary.event_type,
            title: summary.title,
            external_id: summary.external_id,
            received_at: summary.received_at.into(),
            size_bytes: summary.size_bytes,
            origin: summary.origin.into(),
            proof: summary.proof.into(),
            arrived: summary.arrived,
            sandbox: summary.sandbox,
        }
    }
}

fn name_of(inbox: InboxId, names: &BTreeMap<InboxId, String>) -> String {
    names.get(&inbox).cloned().unwrap_or_default()
}

/// A part of the log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    events: Vec<EventSummary>,
    /// For `before=`: older ones.
    #[schema(required)]
    next: Option<String>,
    /// For `after=`: newer ones.
    #[schema(required)]
    previous: Option<String>,
}

impl EventList {
    fn new(slice: Slice<event::EventSummary, EventId>, names: &BTreeMap<InboxId, String>) -> Self {
        Self {
            next: slice.next.map(|id| id.to_string()),
            previous: slice.previous.map(|id| id.to_string()),
            events: slice.items.into_iter().map(|item| EventSummary::new(item, names)).collect(),
        }
    }
}

/// Which events, and which part of the list of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// Those of this inbox.
    inbox: Option<String>,
    /// Those of this type.
    r#type: Option<String>,
    /// Those in which these words stand.
    q: Option<String>,
    /// Those received at or after this time.
    since: Option<String>,
    /// Those received before this time.
    until: Option<String>,
    /// At most so many: 1 to 1,000; 100 where it is left out.
    limit: Option<usize>,
    /// Older than this one.
    before: Option<String>,
    /// Newer than this one.
    after: Option<String>,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountEvents {
    /// Those of this inbox.
    inbox: Option<String>,
    /// Those of this type.
    r#type: Option<String>,
    /// Those in which these words stand.
    q: Option<String>,
    /// Those received at or after this time.
    since: Option<String>,
    /// Those received before this time.
    until: Option<String>,
}

impl CountEvents {
    fn filter(&self) -> Result<EventFilter, ApiError> {
        Ok(EventFilter {
            inbox: optional("inbox", self.inbox.as_deref())?,
            event_type: filled(self.r#type.as_deref()).map(str::to_owned),
            text: filled(self.q.as_deref()).map(str::to_owned),
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
        })
    }
}

/// Lists the newest events.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "events",
    params(ListEvents),
    responses((status = OK, body = EventList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_events(
    State(engine): State<Engine>,
    Query(query): Query<ListEvents>,
) -> Result<Json<EventList>, ApiError> {
    let page = list::page(query.limit, query.before.as_deref(), query.after.as_deref())?;
    let ListEvents { inbox, r#type, q, since, until, .. } = query;
    let filter = CountEvents { inbox, r#type, q, since, until }.filter()?;
    let slice = engine.events(&filter, page).await?;
    Ok(Json(EventList::new(slice, &engine.inbox_names())))
}

/// Counts events.
#[utoipa::path(
    get,
    path = "/api/events/count",
    tag = "events",
    params(CountEvents),
    responses((status = OK, body = Count), (status = "default", body = ApiError)),
)]
pub(crate) async fn count_events(
    State(engine): State<Engine>,
    Query(query): Query<CountEvents>,
) -> Result<Json<Count>, ApiError> {
    Ok(Json(engine.event_count(&query.filter()?).await?.into()))
}

/// Of which inbox.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEventTypes {
    /// Of this inbox alone.
    inbox: Option<String>,
}

/// The types that occur.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTypes {
    types: Vec<String>,
}

/// Lists the types that occur, most frequent first.
#[utoipa::path(
    get,
    path = "/api/events/types",
    tag = "events",
    params(ListEventTypes),
    responses((status = OK, body = EventTypes), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_event_types(
    State(engine): State<Engine>,
    Query(query): Query<ListEventTypes>,
) -> Result<Json<EventTypes>, ApiError> {
    let types = engine.event_types(optional("inbox", query.inbox.as_deref())?).await?;
    Ok(Json(EventTypes { types }))
}

/// Over how long.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GetEventRate {
    /// The last so many minutes, 1 to 1,440; 60 where it is left out.
    minutes: Option<u32>,
}

/// Events per inbox and step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventRate {
    /// When the first step begins.
    from: Time,
    step_seconds: u32,
    inboxes: Vec<InboxRate>,
}

/// Events of one inbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxRate {
    inbox: String,
    name: String,
    /// One number a step, oldest first.
    counts: Vec<u64>,
}

/// Counts events per inbox and minute, for a plot.
#[utoipa::path(
    get,
    path = "/api/events/rate",
    tag = "events",
    params(GetEventRate),
    responses((status = OK, body = EventRate), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_event_rate(
    State(engine): State<Engine>,
    Query(query): Query<GetEventRate>,
) -> Result<Json<EventRate>, ApiError> {
    const STEP_SECONDS: u32 = 60;
    let minutes = query.minutes.unwrap_or(60);
    if !(1..=1_440).contains(&minutes) {
        return Err(ApiError::invalid(format!("`minutes` is {minutes}; it goes from 1 to 1440")));
    }
    let step = SignedDuration::from_secs(STEP_SECONDS.into());
    let from = engine.now() - SignedDuration::from_mins(minutes.into());
    let rates = engine.event_rates(step, minutes as usize).await?;
    let names = engine.inbox_names();
    let inboxes = rates
        .into_iter()
        .map(|rate| InboxRate {
            inbox: rate.inbox.to_string(),
            name: name_of(rate.inbox, &names),
            counts: rate.counts,
        })
        .collect();
    Ok(Json(EventRate { from: from.into(), step_seconds: STEP_SECONDS, inboxes }))
}

/// An event with all that is kept of it, apart from its body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    #[serde(flatten)]
    summary: EventSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<About>,
    /// When it happened, by the sender's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Time>,
    /// Why it was accepted, in a sentence.
    why: String,
    proof_detail: ProofDetail,
    method: String,
    /// Secrets in it are masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// Names and values in the order in which they came; secrets are masked.
    #[schema(value_type = Vec<[String; 2]>)]
    headers: Vec<(String, String)>,
    /// When it first arrived.
    first_at: Time,
    /// When it last arrived.
    last_at: Time,
}

/// The thing that an event speaks of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct About {
    stream: String,
    record_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_version: Option<String>,
}

impl From<event::About> for About {
    fn from(about: event::About) -> Self {
        Self {
            stream: about.stream,
            record_key: about.record_key,
            record_version: about.record_version,
        }
    }
}

/// What was checked on an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProofDetail {
    /// Which rule of the connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    /// The header that carried the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// What was signed, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    /// Which of several secrets fitted, 1 being the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<u32>,
    /// Whose event it is, by the sender's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

impl From<event::ProofDetail> for ProofDetail {
    fn from(detail: event::ProofDetail) -> Self {
        Self {
            scheme: detail.scheme,
            header: detail.header,
            signed: detail.signed,
            secret: detail.secret,
            account: detail.account,
        }
    }
}

/// Shows one event.
#[utoipa::path(
    get,
    path = "/api/events/{id}",
    tag = "events",
    params(("id" = String, Path)),
    responses((status = OK, body = Event), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_event(
    State(engine): State<Engine>,
    Path(id): Path<EventId>,
) -> Result<Json<Event>, ApiError> {
    let event = engine.event(id).await?;
    let names = engine.inbox_names();
    Ok(Json(Event {
        why: why(&event, &name_of(event.summary.inbox, &names)),
        summary: EventSummary::new(event.summary, &names),
        connection: event.connection.map(|id| id.to_string()),
        about: event.about.map(About::from),
        occurred_at: event.occurred_at.map(Time::from),
        proof_detail: event.proof_detail.into(),
        method: event.method,
        query: event.query,
        headers: event.headers,
        first_at: event.first_at.into(),
        last_at: event.last_at.into(),
    }))
}

/// The bytes of one event, as they came.
///
/// They are somebody else's text: nothing may take them for a page or for a script of ours.
#[utoipa::path(
    get,
    path = "/api/events/{id}/body",
    tag = "events",
    params(("id" = String, Path)),
    responses(
        (status = OK, content_type = "application/octet-stream", body = Vec<u8>),
        (status = "default", body = ApiError)
    ),
)]
pub(crate) async fn get_event_body(
    State(engine): State<Engine>,
    Path(id): Path<EventId>,
) -> Result<impl IntoResponse, ApiError> {
    let body = engine.event_body(id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.bin\"")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "sandbox".to_owned()),
    ];
    Ok((headers, body))
}

/// A request as `patchbay verify --request` takes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventRequest {
    method: String,
    url: String,
    #[schema(value_type = Vec<[String; 2]>)]
    headers: Vec<(String, String)>,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Exports the request of one event, for `patchbay verify`. Secrets in it stay masked.
#[utoipa::path(
    get,
    path = "/api/events/{id}/request",
    tag = "events",
    params(("id" = String, Path)),
    responses((status = OK, body = EventRequest), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_event_request(
    State(engine): State<Engine>,
    Path(id): Path<EventId>,
) -> Result<Json<EventRequest>, ApiError> {
    let event = engine.event(id).await?;
    let bytes = engine.event_body(id).await?;
    let inbox = engine.inbox(event.summary.inbox).await?;
    let url = inbox.public_url.unwrap_or(inbox.local_url);
    let (body, body_base64) = match std::str::from_utf8(&bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(&bytes))),
    };
    Ok(Json(EventRequest {
        method: event.method,
        url: event.query.map_or_else(|| url.clone(), |query| format!("{url}?{query}")),
        headers: event.headers,
        body,
        body_base64,
    }))
}
