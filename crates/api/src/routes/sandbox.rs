//! The pretend shop: connecting it, and breaking things on purpose.
//!
//! The shop is a program of its own that happens to run in ours. Its control is reached over HTTP
//! with its own token, as anybody else would.

use axum::extract::State;
use engine::{Engine, sandbox};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connections::Connection;
use super::inboxes::Inbox;
use super::syncs::Sync;
use crate::control::Control;
use crate::error::ApiError;
use crate::extract::Json;

/// What is connected of the sandbox, and how its shop is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sandbox {
    /// Whether this host runs one.
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shop: Option<Shop>,
}

/// How the shop is doing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Shop {
    orders: u64,
    customers: u64,
    products: u64,
    orders_per_minute: u32,
    faults: Faults,
    /// Webhooks that were answered with 2xx.
    delivered: u64,
    /// Webhooks that it left out on purpose.
    dropped: u64,
    /// Webhooks that were answered otherwise, or not at all.
    failed: u64,
}

/// What the shop does wrong on purpose. Parts go from 0, never, to 1, always.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Faults {
    /// The part of webhooks that it leaves out.
    drop: f64,
    /// The part that it sends twice.
    duplicate: f64,
    /// The part that it sends out of order.
    reorder: f64,
    /// How late webhooks are, in milliseconds.
    delay_ms: u64,
    /// The part of API requests that it answers with 429.
    answer_429: f64,
    /// The part of API requests that it answers with 500.
    answer_500: f64,
    /// How slow its API is, in milliseconds a request.
    slow_ms: u64,
}

/// What of the shop changes; what is left out stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    orders_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<FaultsPatch>,
}

/// See [`Faults`]; what is left out stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultsPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reorder: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_429: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_500: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_ms: Option<u64>,
}

async fn shown(engine: &Engine) -> Result<Sandbox, ApiError> {
    let parts = engine.sandbox_parts().await?;
    let shop = match Control::of(engine) {
        Ok(control) => Some(control.shop().await?),
        Err(_) => None,
    };
    Ok(Sandbox {
        enabled: shop.is_some(),
        connection: parts.connection.map(|status| status.connection.id.to_string()),
        inbox: parts.inbox.map(|status| status.inbox.id.to_string()),
        shop,
    })
}

/// Shows what is connected of the sandbox, and how its shop is doing.
#[utoipa::path(
    get,
    path = "/api/sandbox",
    tag = "sandbox",
    responses((status = OK, body = Sandbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_sandbox(State(engine): State<Engine>) -> Result<Json<Sandbox>, ApiError> {
    Ok(Json(shown(&engine).await?))
}

/// What was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenedSandbox {
    connection: Connection,
    inbox: Inbox,
    syncs: Vec<Sync>,
    /// The consent page; null where the connection is ready already.
    #[schema(required)]
    authorize_url: Option<String>,
}

/// Makes all that is missing of the sandbox, and begins its sign-in.
#[utoipa::path(
    post,
    path = "/api/sandbox",
    tag = "sandbox",
    responses((status = CREATED, body = OpenedSandbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_sandbox(
    State(engine): State<Engine>,
) -> Result<(StatusCode, Json<OpenedSandbox>), ApiError> {
    let opened = engine.create_sandbox().await?;
    Ok((
        StatusCode::CREATED,
        Json(OpenedSandbox {
            connection: opened.connection.into(),
            inbox: opened.inbox.into(),
            syncs: opened.syncs.into_iter().map(Sync::from).collect(),
            authorize_url: opened.authorize.map(|authorize| authorize.authorize_url.into()),
        }),
    ))
}

/// Changes how busy the shop is, and what it does wrong.
#[utoipa::path(
    patch,
    path = "/api/sandbox",
    tag = "sandbox",
    request_body = SandboxPatch,
    responses((status = OK, body = Sandbox), (status = "default", body = ApiError)),
)]
pub(crate) async fn update_sandbox(
    State(engine): State<Engine>,
    Json(patch): Json<SandboxPatch>,
) -> Result<Json<Sandbox>, ApiError> {
    Control::of(&engine)?.update(&patch).await?;
    Ok(Json(shown(&engine).await?))
}

/// Deletes everything that came from the sandbox.
#[utoipa::path(
    delete,
    path = "/api/sandbox",
    tag = "sandbox",
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn delete_sandbox(State(engine): State<Engine>) -> Result<StatusCode, ApiError> {
    engine.delete_sandbox().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many orders.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrdersRequest {
    count: u32,
}

/// How many orders were made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeOrders {
    made: u64,
}

/// Makes the shop sell something now.
#[utoipa::path(
    post,
    path = "/api/sandbox/orders",
    tag = "sandbox",
    request_body = OrdersRequest,
    responses((status = ACCEPTED, body = MadeOrders), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_sandbox_orders(
    State(engine): State<Engine>,
    Json(request): Json<OrdersRequest>,
) -> Result<(StatusCode, Json<MadeOrders>), ApiError> {
    let made = Control::of(&engine)?.make_orders(&request).await?;
    Ok((StatusCode::ACCEPTED, Json(made)))
}

/// Makes the shop forget the access tokens that it gave out, so that they have to be renewed.
#[utoipa::path(
    post,
    path = "/api/sandbox/expire-tokens",
    tag = "sandbox",
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn expire_sandbox_tokens(
    State(engine): State<Engine>,
) -> Result<StatusCode, ApiError> {
    Control::of(&engine)?.expire_tokens().await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<sandbox::Error> for ApiError {
    fn from(error: sandbox::Error) -> Self {
        match error {
            sandbox::Error::Off => Self::sandbox_off(),
            sandbox::Error::Connection(error) => error.into(),
            sandbox::Error::Inbox(error) => error.into(),
            sandbox::Error::Sync(error) => error.into(),
            sandbox::Error::SignIn(error) => error.into(),
        }
    }
}
