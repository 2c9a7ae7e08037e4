//! The control: what the person who plays with the shop, and a test, may do to it.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::fault::{FaultChange, Faults};
use crate::rest::bearer;
use crate::shop::Collection;
use crate::{Shared, locked};

/// The most orders that are made in a minute, and at once.
const MOST_ORDERS: u32 = 6_000;

/// A request that cannot be followed, and why.
struct Refused(StatusCode, &'static str, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
    }
}

pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/control", get(show).patch(change))
        .route("/control/orders", post(orders))
        .route("/control/expire-tokens", post(expire_tokens))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
}

async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let given = bearer(request.headers()).unwrap_or_default();
    if !bool::from(given.as_bytes().ct_eq(shared.control_token.as_bytes())) {
        let message = "the control asks for its own token".into();
        return Refused(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response();
    }
    next.run(request).await
}

async fn show(State(shared): State<Shared>) -> Json<serde_json::Value> {
    shown(&shared)
}

fn shown(shared: &Shared) -> Json<serde_json::Value> {
    let count = |collection| locked(&shared.shop).count(collection);
    let settings = *locked(&shared.settings);
    Json(json!({
        "orders": count(Collection::Orders),
        "customers": count(Collection::Customers),
        "products": count(Collection::Products),
        "orders_per_minute": settings.orders_per_minute,
        "items_per_second": settings.items_per_second,
        "faults": settings.faults,
        "delivered": shared.webhooks.delivered.load(Ordering::Relaxed),
        "failed": shared.webhooks.failed.load(Ordering::Relaxed),
        "dropped": shared.webhooks.dropped.load(Ordering::Relaxed),
        "requests": shared.requests.load(Ordering::Relaxed),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    orders_per_minute: Option<u32>,
    items_per_second: Option<u32>,
    faults: Option<FaultChange>,
}

async fn change(
    State(shared): State<Shared>,
    body: Bytes,
) -> Result<Json<serde_json::Value>, Refused> {
    let change: Change = read(&body)?;
    {
        let mut settings = locked(&shared.settings);
        let faults: Faults =
            settings.faults.changed(change.faults.unwrap_or_default()).map_err(invalid)?;
        let rate = change.orders_per_minute.unwrap_or(settings.orders_per_minute);
        settings.orders_per_minute = within(rate, "orders_per_minute")?;
        settings.items_per_second = change.items_per_second.unwrap_or(settings.items_per_second);
        settings.faults = faults;
    }
    shared.wake.notify_waiters();
    Ok(shown(&shared))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Orders {
    count: u32,
}

async fn orders(State(shared): State<Shared>, body: Bytes) -> Result<impl IntoResponse, Refused> {
    let Orders { count } = read(&body)?;
    let count = within(count, "count")?;
    for _ in 0..count {
        shared.make_order();
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "made": count }))))
}

async fn expire_tokens(State(shared): State<Shared>) -> StatusCode {
    shared.change_grants(crate::sign_in::Grants::expire);
    StatusCode::NO_CONTENT
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
}

fn within(number: u32, name: &str) -> Result<u32, Refused> {
    if number > MOST_ORDERS {
        return Err(invalid(format!("`{name}` is at most {MOST_ORDERS}")));
    }
    Ok(number)
}

fn invalid(message: String) -> Refused {
    Refused(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
}
