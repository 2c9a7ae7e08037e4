//! Accounts of the user at connectors.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::connection::ConnectionState as Stored;
use domain::connector;
use domain::id::ConnectionId;
use engine::connection::{ConnectionRequest, ConnectionStatus, Error};
use engine::outgoing::Mail;
use engine::sign_in::Revoked;
use engine::{Engine, outgoing};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::connectors::SignInKind;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::list::Count;
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
    /// What went wrong with the last check, until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<CheckFault>,
    created_at: Time,
    /// Which way in.
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expires_at: Option<Time>,
    /// When its sign-in ends unless its user signs in again, where that is within two weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in_ends_at: Option<Time>,
    /// How that works: `oauth_code`, `header_token`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    way_kind: Option<String>,
    /// Whether its account is for trying out, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    /// Whether it was begun and never worked: it can be gone on with, or thrown away.
    half_made: bool,
    /// When it last worked again after it had needed its user.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered_at: Option<Time>,
    /// What its user is shown to type in at the provider, while that is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_code: Option<DeviceCode>,
    /// Whether its sign-in is taken back at the provider when it is deleted.
    revokes: bool,
    settings: BTreeMap<String, String>,
    /// How many syncs hang on it.
    syncs: usize,
    /// How many inboxes hang on it.
    inboxes: usize,
    sandbox: bool,
}

/// Whether an account is for trying out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    Test,
    Live,
}

/// A code that is typed into a page of the provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DeviceCode {
    user_code: String,
    /// The page.
    verification_url: String,
    /// Until when it is good.
    expires_at: Time,
}

impl From<engine::sign_in::DeviceCode> for DeviceCode {
    fn from(code: engine::sign_in::DeviceCode) -> Self {
        Self {
            user_code: code.user_code,
            verification_url: code.verification_url.into(),
            expires_at: code.expires_at.into(),
        }
    }
}

/// A check that did not succeed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CheckFault {
    /// What happened.
    why: String,
    /// When it was made.
    at: Time,
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
            fault: stored.fault.map(|fault| CheckFault { why: fault.why, at: fault.at.into() }),
            created_at: stored.created_at.into(),
            way: status.way,
            token_expires_at: stored.token_expires_at.map(Time::from),
            sign_in_ends_at: status.sign_in_ends_at.map(Time::from),
            way_kind: status.way_kind.map(str::to_owned),
            mode: stored.mode.map(|mode| match mode {
                connector::Mode::Test => Mode::Test,
                connector::Mode::Live => Mode::Live,
            }),
            half_made: stored.checked_at.is_none()
                && matches!(state, ConnectionState::NeedsSignIn | ConnectionState::SigningIn),
            recovered_at: stored.recovered_at.map(Time::from),
            device_code: status.device_code.map(DeviceCode::from),
            revokes: status.revokes,
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

/// A connection with what stops working without it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionDetail {
    #[serde(flatten)]
    connection: Connection,
    hangs: Hanging,
}

/// What stops working without a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hanging {
    /// Syncs, which are deleted with it.
    syncs: Vec<HangingSync>,
    /// Inboxes, which stay; where their sender knows them through it, it is told to forget them.
    inboxes: Vec<HangingInbox>,
    /// How many of its records are here, which are deleted with it.
    records: Count,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HangingSync {
    id: String,
    stream: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HangingInbox {
    id: String,
    name: String,
}

impl From<engine::connection::Hanging> for Hanging {
    fn from(hanging: engine::connection::Hanging) -> Self {
        let sync =
            |it: domain::sync::Sync| HangingSync { id: it.id.to_string(), stream: it.sync.stream };
        let inbox =
            |it: domain::inbox::Inbox| HangingInbox { id: it.id.to_string(), name: it.inbox.name };
        Self {
            syncs: hanging.syncs.into_iter().map(sync).collect(),
            inboxes: hanging.inboxes.into_iter().map(inbox).collect(),
            records: hanging.records.into(),
        }
    }
}

/// Shows one, with what hangs on it.
#[utoipa::path(
    get,
    path = "/api/connections/{id}",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = ConnectionDetail), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<ConnectionDetail>, ApiError> {
    let connection = engine.connection(id).await?.into();
    let hangs = engine.hanging_on(id).await?.into();
    Ok(Json(ConnectionDetail { connection, hangs }))
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

/// What is left to do by hand after a connection was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftOver {
    /// What did not work.
    message: String,
    /// What to do about it.
    hint: String,
}

/// Deletes it with its syncs, records and secrets, and takes its sign-in back at the provider
/// where that is possible. Where that did not work, the answer says so; it is deleted all the same.
#[utoipa::path(
    delete,
    path = "/api/connections/{id}",
    tag = "connections",
    params(("id" = String, Path)),
    responses(
        (status = NO_CONTENT),
        (status = OK, body = LeftOver),
        (status = "default", body = ApiError),
    ),
)]
pub(crate) async fn delete_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Response, ApiError> {
    match engine.delete_connection(id).await? {
        Revoked::Done | Revoked::NotOffered => Ok(StatusCode::NO_CONTENT.into_response()),
        Revoked::Failed(why) => Ok(Json(LeftOver {
            message: format!("the sign-in could not be taken back at the provider: {why}"),
            hint:
                "Remove Patchbay's access on the provider's own pages, where its apps are listed."
                    .into(),
        })
        .into_response()),
    }
}

/// What the browser has to open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Authorization {
    kind: SignInKind,
    authorize_url: String,
    /// Where the browser comes back; none where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
    /// What is typed into the page, where something is. The page may have it filled in already.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_code: Option<String>,
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
    let kind = match (&authorize.user_code, &authorize.redirect_url) {
        (Some(_), _) => SignInKind::Device,
        (None, Some(_)) => SignInKind::Browser,
        (None, None) => SignInKind::HandOver,
    };
    Ok(Json(Authorization {
        kind,
        authorize_url: authorize.authorize_url.into(),
        redirect_url: authorize.redirect_url.map(String::from),
        user_code: authorize.user_code,
        expires_at: authorize.expires_at.into(),
    }))
}

/// Ends a sign-in that waits; it is no fault where none does.
#[utoipa::path(
    post,
    path = "/api/connections/{id}/authorize/cancel",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn cancel_authorization(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Connection>, ApiError> {
    Ok(Json(engine.cancel_sign_in(id).await?.into()))
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

/// Takes an address of Patchbay's own kind, `patchbay://…`, that was opened on this computer: it
/// finishes the sign-in that waits for it, whichever that is.
#[utoipa::path(
    post,
    path = "/api/authorize/complete",
    tag = "connections",
    request_body = LandedOn,
    responses((status = OK, body = Connection), (status = "default", body = ApiError)),
)]
pub(crate) async fn take_address(
    State(engine): State<Engine>,
    Json(landed): Json<LandedOn>,
) -> Result<Json<Connection>, ApiError> {
    Ok(Json(engine.take_address(&landed.redirect_url).await?.into()))
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
    match engine.check_connection(id).await {
        Ok(status) => Ok(Json(status.into())),
        // The host alone, `127.0.0.1` say, tells nobody which of their accounts it is about.
        Err(error @ Error::Check(_)) => {
            let name = engine.connection(id).await?.connection.connection.name;
            Err(ApiError::from(error).about(&name))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whom a mail for trying out goes to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestMailRequest {
    /// An address: `ada@acme.example`.
    to: String,
}

/// A mail that the server has taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentMail {
    /// Its own `Message-ID`.
    message_id: String,
    /// What the server said: often how it calls the mail.
    answer: String,
}

/// Sends a mail for trying out through the mail server of a connection.
#[utoipa::path(
    post,
    path = "/api/connections/{id}/test-mail",
    tag = "connections",
    params(("id" = String, Path)),
    request_body = TestMailRequest,
    responses((status = OK, body = SentMail), (status = "default", body = ApiError)),
)]
pub(crate) async fn send_test_mail(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
    Json(request): Json<TestMailRequest>,
) -> Result<Json<SentMail>, ApiError> {
    let name = engine.connection(id).await?.connection.connection.name;
    let mail = Mail {
        to: vec![request.to],
        subject: "A mail from Patchbay, for trying out".into(),
        text: "This mail was sent to see whether mail can be sent. It can.\n".into(),
        ..Mail::default()
    };
    match engine.send_mail(id, &mail).await {
        Ok(sent) => Ok(Json(SentMail { message_id: sent.message_id, answer: sent.answer })),
        Err(error @ Error::Check(_)) => Err(ApiError::from(error).about(&name)),
        Err(error) => Err(error.into()),
    }
}

/// Which secrets of a connection went where. Names and hosts, never a value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerEntry {
    /// The names of the secrets.
    secrets: Vec<String>,
    /// Where they went.
    host: String,
    /// What for.
    purpose: String,
    /// When the first of these requests was sent.
    first_at: Time,
    /// When the last was.
    last_at: Time,
    /// How many there were.
    times: u64,
}

/// Entries of a ledger, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ledger {
    ledger: Vec<LedgerEntry>,
    /// Always null: older entries are not kept for long.
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// How many entries of a ledger are listed at most.
const MOST: u32 = 1_000;

/// Lists which secrets went to which host, when, and what for.
#[utoipa::path(
    get,
    path = "/api/connections/{id}/ledger",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = Ledger), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_connection_ledger(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Ledger>, ApiError> {
    let entries = engine.ledger(id, MOST).await?;
    let ledger = entries
        .into_iter()
        .map(|entry| LedgerEntry {
            secrets: entry.secrets,
            host: entry.host,
            purpose: entry.purpose,
            first_at: entry.first_at.into(),
            last_at: entry.last_at.into(),
            times: entry.times,
        })
        .collect();
    Ok(Json(Ledger { ledger, next: None, previous: None }))
}

/// A request of a connection and what came of it, secrets masked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exchange {
    at: Time,
    /// What it was for.
    purpose: String,
    method: String,
    url: String,
    /// Names and values.
    headers: Vec<(String, String)>,
    /// The beginning of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// What came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<ExchangeAnswer>,
    /// Why nothing came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// An answer, secrets masked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExchangeAnswer {
    status: u16,
    /// Names and values.
    headers: Vec<(String, String)>,
    /// The beginning of its body.
    body: String,
}

/// Requests, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExchangeList {
    exchanges: Vec<Exchange>,
    /// Always null: all of them are here.
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

impl From<outgoing::Exchange> for Exchange {
    fn from(exchange: outgoing::Exchange) -> Self {
        let (answer, fault) = match exchange.answer {
            Ok(answer) => {
                let (status, headers, body) = (answer.status, answer.headers, answer.body);
                (Some(ExchangeAnswer { status, headers, body }), None)
            }
            Err(fault) => (None, Some(fault)),
        };
        Self {
            at: exchange.at.into(),
            purpose: exchange.purpose,
            method: exchange.method,
            url: exchange.url,
            headers: exchange.headers,
            body: exchange.body,
            answer,
            fault,
        }
    }
}

/// Lists the last requests that did not go well, and the last checks. They are in memory alone.
#[utoipa::path(
    get,
    path = "/api/connections/{id}/exchanges",
    tag = "connections",
    params(("id" = String, Path)),
    responses((status = OK, body = ExchangeList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_connection_exchanges(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
) -> Result<Json<ExchangeList>, ApiError> {
    let exchanges = engine.exchanges(id).await?.into_iter().map(Exchange::from).collect();
    Ok(Json(ExchangeList { exchanges, next: None, previous: None }))
}
