//! Addresses that receive webhooks.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::id::InboxId;
use domain::inbox::Registration as Known;
use engine::Engine;
use engine::inbox::{InboxRequest, InboxStatus};
use engine::socket::{SocketState as Does, SocketStatus};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::list::{Count, optional};
use crate::secrets::{GivenSecrets, taken};
use crate::time::Time;

/// An inbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Inbox {
    id: String,
    name: String,
    connector: String,
    connector_name: String,
    /// Whose events it receives.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// Its address on this machine.
    local_url: String,
    /// Its address for the world, while a tunnel runs.
    #[schema(required)]
    public_url: Option<String>,
    /// Whether a probe has come back through that address lately.
    public_proved: bool,
    created_at: Time,
    /// When it last received something.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard_at: Option<Time>,
    events: Count,
    registration: Registration,
    /// Its socket, where its events come over one: it takes no webhooks then.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<Socket>,
    /// What was entered for it.
    settings: BTreeMap<String, String>,
    /// Whether it holds secrets to prove with what it receives. They are never shown.
    has_secrets: bool,
    /// The names of those that it still needs from its user: until then it refuses everything.
    missing_secrets: Vec<String>,
    /// Whether what it accepts is signed.
    signed: bool,
    sandbox: bool,
}

/// Whether the sender has been told of the address.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Registration {
    state: RegistrationState,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
    /// The address that it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// See [`Registration`].
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RegistrationState {
    /// The user pastes the address over there.
    ByHand,
    /// There is nobody to tell: its events come over a socket.
    Socket,
    /// It will be told as soon as the connection is ready.
    Waiting,
    Registered,
    Failed,
}

impl From<Known> for Registration {
    fn from(known: Known) -> Self {
        let (state, why, at, url) = match known {
            Known::ByHand => (RegistrationState::ByHand, None, None, None),
            Known::Socket => (RegistrationState::Socket, None, None, None),
            Known::Waiting => (RegistrationState::Waiting, None, None, None),
            Known::Registered { url, at, .. } => {
                (RegistrationState::Registered, None, Some(at), Some(url))
            }
            Known::Failed { why, at, .. } => (RegistrationState::Failed, Some(why), Some(at), None),
        };
        Self { state, why, at: at.map(Time::from), url }
    }
}

/// A connection that Patchbay opens, over which events come.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Socket {
    state: SocketState,
    /// Since when it is in that state.
    since: Time,
    /// When something was last heard over it, if only that somebody is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard_at: Option<Time>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    /// How many messages could not be understood, since the start. They are among the refusals.
    ignored: u64,
}

/// What a socket does.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SocketState {
    /// Nothing: its connection cannot be used.
    Off,
    Opening,
    /// Events may come.
    Connected,
    /// It could not be opened, or did not last.
    Waiting,
    /// The other side has switched it off.
    SwitchedOff,
    /// What should let it in does not.
    NeedsSignIn,
}

impl From<SocketStatus> for Socket {
    fn from(status: SocketStatus) -> Self {
        let (state, why, until) = match status.state {
            Does::Off { why } => (SocketState::Off, Some(why), None),
            Does::Opening => (SocketState::Opening, None, None),
            Does::Connected => (SocketState::Connected, None, None),
            Does::Waiting { why, until } => (SocketState::Waiting, Some(why), Some(until)),
            Does::SwitchedOff => {
                let why = "The provider says that the socket was switched off.";
                (SocketState::SwitchedOff, Some(why.into()), None)
            }
            Does::NeedsSignIn { why } => (SocketState::NeedsSignIn, Some(why), None),
        };
        Self {
            state,
            since: status.since.into(),
            heard_at: status.heard_at.map(Time::from),
            until: until.map(Time::from),
            why,
            hint: hint(state),
            ignored: status.ignored,
        }
    }
}

/// What somebody does about a socket over which nothing comes.
const fn hint(state: SocketState) -> Option<&'static str> {
    match state {
        SocketState::Opening | SocketState::Connected | SocketState::Waiting => None,
        SocketState::Off => Some("Look at its connection."),
        SocketState::SwitchedOff => {
            Some("Switch it on in the provider's pages, then check the connection.")
        }
        SocketState::NeedsSignIn => {
            Some("Enter what lets it in anew, in the connection's settings, or sign in again.")
        }
    }
}

impl From<InboxStatus> for Inbox {
    fn from(status: InboxStatus) -> Self {
        let stored = status.inbox;
        Self {
            id: stored.id.to_string(),
            name: stored.inbox.name,
            connector: stored.inbox.connector,
            connector_name: status.connector_name,
            connection: stored.inbox.connection.map(|id| id.to_string()),
            local_url: status.local_url,
            public_url: status.public_url,
            public_proved: status.public_proved,
            created_at: stored.created_at.into(),
            heard_at: status.heard_at.map(Time::from),
            events: status.events.into(),
            registration: stored.inbox.registration.into(),
            socket: status.socket.map(Socket::from),
            settings: stored.inbox.settings,
            has_secrets: stored.secrets.is_some(),
            missing_secrets: status.missing_secrets,
            signed: status.signed,
            sandbox: stored.inbox.sandbox,
        }
    }
}

/// Inboxes, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxList {
    inboxes: Vec<Inbox>,
    /// Always null: all of them are here.
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Lists the inboxes.
#[utoipa::path(
    get,
    path = "/api/inboxes",
    tag = "inboxes",
    responses((status = OK, body = InboxList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_inboxes(
    State(engine): State<Engine>,
) -> Result<Json<InboxList>, ApiError> {
    let inboxes = engine.inboxes().await?.into_iter().map(Inbox::from).collect();
    Ok(Json(InboxList { inboxes, next: None, previous: None }))
}

/// An inbox to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInbox {
    name: String,
    connector: String,
    connection: Option<String>,
    /// Whether the user tells the sender of it, also where Patchbay could.
    #[serde(default)]
    #[schema(required = false)]
    by_hand: bool,
    /// Whether its events come over a socket of the connection.
    #[serde(default)]
    #[schema(required = false)]
    socket: bool,
    #[serde(default)]
    #[schema(required = false)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(required = false)]
    secrets: GivenSecrets,
}

impl NewInbox {
    fn request(self) -> Result<InboxRequest, ApiError> {
        Ok(InboxRequest {
            connection: optional("connection", self.connection.as_deref())?,
            name: self.name,
            connector: self.connector,
            by_hand: self.by_hand,
            socket: self.socket,
            settings: self.settings,
            secrets: taken(self.secrets),
        })
    }
}

/// Makes an inbox, and tells its sender of it where the connector can.
#[utoipa::path(
    post,
    path = "/api/inboxes",
    tag = "inboxes",
    request_body = NewInbox,
    responses((status = CREATED, body = Inbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_inbox(
    State(engine): State<Engine>,
    Json(new): Json<NewInbox>,
) -> Result<(StatusCode, Json<Inbox>), ApiError> {
    let status = engine.create_inbox(new.request()?).await?;
    Ok((StatusCode::CREATED, Json(status.into())))
}

/// Shows one.
#[utoipa::path(
    get,
    path = "/api/inboxes/{id}",
    tag = "inboxes",
    params(("id" = String, Path)),
    responses((status = OK, body = Inbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_inbox(
    State(engine): State<Engine>,
    Path(id): Path<InboxId>,
) -> Result<Json<Inbox>, ApiError> {
    Ok(Json(engine.inbox(id).await?.into()))
}

/// What of an inbox changes; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxPatch {
    name: Option<String>,
    #[serde(default)]
    #[schema(required = false)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(required = false)]
    secrets: GivenSecrets,
}

/// Changes its name, or the settings and secrets that are given.
#[utoipa::path(
    patch,
    path = "/api/inboxes/{id}",
    tag = "inboxes",
    params(("id" = String, Path)),
    request_body = InboxPatch,
    responses((status = OK, body = Inbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn update_inbox(
    State(engine): State<Engine>,
    Path(id): Path<InboxId>,
    Json(patch): Json<InboxPatch>,
) -> Result<Json<Inbox>, ApiError> {
    let InboxPatch { name, settings, secrets } = patch;
    Ok(Json(engine.update_inbox(id, name, settings, taken(secrets)).await?.into()))
}

/// What went with an inbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedInbox {
    events_deleted: u64,
}

/// Deletes it with its events.
#[utoipa::path(
    delete,
    path = "/api/inboxes/{id}",
    tag = "inboxes",
    params(("id" = String, Path)),
    responses((status = OK, body = DeletedInbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn delete_inbox(
    State(engine): State<Engine>,
    Path(id): Path<InboxId>,
) -> Result<Json<DeletedInbox>, ApiError> {
    Ok(Json(DeletedInbox { events_deleted: engine.delete_inbox(id).await? }))
}
