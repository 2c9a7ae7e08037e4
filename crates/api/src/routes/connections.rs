//! Accounts of the user at connectors.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::connection::ConnectionState as Stored;
use domain::id::ConnectionId;
use engine::Engine;
use engine::connection::{ConnectionRequest, ConnectionStatus};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::secrets::{GivenSecrets, taken};
use crate::time::Time;

/// A connection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Connection {
    id: String,
    connector: String,
    connector_name: String,
    name: String,
    state: ConnectionState,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Since when it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// The account's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// When its credentials last worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Time>,
    created_at: Time,
    /// Which way in.
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expires_at: Option<Time>,
    settings: BTreeMap<String, String>,
    /// How many syncs hang on it.
    syncs: usize,
    /// How many inboxes hang on it.
    inboxes: usize,
    sandbox: bool,
}

/// What a connection can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectionState {
    Ready,
    NeedsSignIn,
    /// A browser is out to sign in.
    SigningIn,
    Off,
    Broken,
}

impl From<ConnectionStatus> for Connection {
    fn from(status: ConnectionStatus) -> Self {
        let stored = status.connection;
        let (state, why, since) = match stored.connection.state {
            Stored::Ready => (ConnectionState::Ready, None, None),
            Stored::NeedsSignIn { why, since } if status.signing_in => {
                (ConnectionState::SigningIn, Some(why), Some(since))
            }
            Stored::NeedsSignIn { why, since } => {
                (ConnectionState::NeedsSignIn, Some(why), Some(since))
            }
            Stored::Off => (ConnectionState::Off, None, None),
            Stored::Broken { why } => (ConnectionState::Broken, Some(why), None),
        };
        Self {
            id: stored.id.to_string(),
            connector: stored.connection.connector,
            connector_name: status.connector_name,
            name: stored.connection.name,
            state,
            why,
            since: since.map(Time::from),
            account: stored.account,
            checked_at: stored.checked_at.map(Time::from),
            created_at: stored.created_at.into(),
            way: status.way,
            token_expires_at: stored.token_expires_at.map(Time::from),
            settings: stored.connection.settings,
            syncs: status.syncs,
            inboxes: status.inboxes,
            sandbox: stored.connection.sandbox,
        }
    }
}

/// Connections, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionList {
    connections: Vec<Connection>,
    /// Always null: all of them are here.
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Lists the connections.
#[utoipa::path(
    get,
    path = "/api/connections",
    tag = "connections",
    responses((status = OK, body = ConnectionList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_connections(
    State(engine): State<Engine>,
) -> Result<Json<ConnectionList>, ApiError> {
    let connections = engine.connections().await?.into_iter().map(Connection::from).collect();
    Ok(Json(ConnectionList { connections, next: None, previous: None }))
}

/// A connection to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConnection {
    connector: String,
    name: String,
    /// Which way in; the first where it is left out.
    way: Option<String>,
    #[serde(default)]
    #[schema(required = false)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(required = false)]
    secrets: GivenSecrets,
}

impl From<NewConnection> for ConnectionRequest {
    fn from(new: NewConnection) -> Self {
        Self {
            connector: new.connector,
            name: new.name,
            way: new.way,
            settings: new.settings,
            secrets: taken(new.secrets),
        }
    }
}

/// Makes a connection.
#[utoipa::path(
    post,
    path = "/api/connections",
    tag = "connections",
    request_body = NewConnection,
    responses((status = CREATED, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_connection(
    State(engine): State<Engine>,
    Json(new): Json<NewConnection>,
) -> Result<(StatusCode, Json<Connection>), ApiError> {
    let status = engine.create_connection(new.into()).await?;
    Ok((StatusCode::CREATED, Json(status.into())))
}

/// Shows one.
#[utoipa::path(
    get,
    path = "/api/connections/{id}",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Connection>, ApiError> {
    Ok(Json(engine.connection(id).await?.into()))
}

/// What of a connection changes; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionPatch {
    name: Option<String>,
    settings: Option<BTreeMap<String, String>>,
    #[serde(default)]
    #[schema(required = false)]
    secrets: GivenSecrets,
    on: Option<bool>,
}

/// Changes it, switches it off or on.
#[utoipa::path(
    patch,
    path = "/api/connections/{id}",
    tag = "connections",
    params(("id" = String, Path)),
    request_body = ConnectionPatch,
    responses((status = OK, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn update_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
    Json(patch): Json<ConnectionPatch>,
) -> Result<Json<Connection>, ApiError> {
    let mut status =
        engine.update_connection(id, patch.name, patch.settings, taken(patch.secrets)).await?;
    if let Some(on) = patch.on {
        status = engine.switch_connection(id, on).await?;
    }
    Ok(Json(status.into()))
}

/// Deletes it with its syncs, records and secrets.
#[utoipa::path(
    delete,
    path = "/api/connections/{id}",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn delete_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<StatusCode, ApiError> {
    engine.delete_connection(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the browser has to open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Authorization {
    authorize_url: String,
    /// Until when an answer is waited for.
    expires_at: Time,
}

/// Begins a sign-in.
#[utoipa::path(
    post,
    path = "/api/connections/{id}/authorize",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = Authorization), (status = "default", body = ApiError)),
)]
pub(crate) async fn authorize_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Authorization>, ApiError> {
    let authorize = engine.authorize(id).await?;
    Ok(Json(Authorization {
        authorize_url: authorize.authorize_url.into(),
        expires_at: authorize.expires_at.into(),
    }))
}

/// The address on which the browser landed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LandedOn {
    #[schema(value_type = String, format = "uri")]
    redirect_url: Url,
}

/// Finishes a sign-in whose browser could not come back by itself.
#[utoipa::path(
    post,
    path = "/api/connections/{id}/authorize/complete",
    tag = "connections",
    params(("id" = String, Path)),
    request_body = LandedOn,
    responses((status = OK, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn complete_authorization(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
    Json(landed): Json<LandedOn>,
) -> Result<Json<Connection>, ApiError> {
    // So that an unknown connection is told from an unknown sign-in.
    engine.connection(id).await?;
    Ok(Json(engine.complete_sign_in(&landed.redirect_url).await?.into()))
}

/// Makes one cheap request to see whether its credentials work.
#[utoipa::path(
    post,
    path = "/api/connections/{id}/check",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn check_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Connection>, ApiError> {
    Ok(Json(engine.check_connection(id).await?.into()))
}
