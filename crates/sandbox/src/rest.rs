//! The REST API: what an app that the user let in can read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde_json::json;

use crate::files;
use crate::form::Form;
use crate::limit::Verdict;
use crate::shop::{Collection, Part};
use crate::webhook;
use crate::{Shared, locked};

/// The most that a page holds.
const MOST: usize = 250;
/// What a page holds if nothing is said.
const USUAL: usize = 50;

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no such thing")]
    NotFound,
    #[error("the access token is missing, unknown or expired")]
    Token,
    #[error("too many requests")]
    RateLimited,
    #[error("the shop stumbled, on purpose")]
    Stumbled,
    #[error("`{0}` {1}")]
    Parameter(&'static str, &'static str),
    #[error(transparent)]
    Webhook(#[from] webhook::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Token => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Stumbled => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            Self::Parameter(..) => (StatusCode::BAD_REQUEST, "invalid_parameter"),
            Self::Webhook(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_webhook"),
        };
        let answer = json!({ "error": { "code": code, "message": self.to_string() } });
        let mut response = (status, Json(answer)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/products", get(products))
        .route("/api/events", get(events))
        .route("/api/webhooks", get(list_webhooks).post(create_webhook))
        .route("/api/webhooks/{id}", axum::routing::delete(delete_webhook))
        .route("/api/catalogue", get(files::catalogue))
        .route("/api/orders/{id}/lines", get(files::order_lines))
        .route("/api/exports", axum::routing::post(files::create))
        .route("/api/exports/{id}", get(files::show).delete(files::delete))
        .route("/api/exports/{id}/file", get(files::file))
        .route("/api/journal", get(files::journal_first))
        .route("/api/journal/{offset}/next", get(files::journal_next))
        .route("/api/journal/{offset}/{last}", get(files::journal_file))
        .route("/api/{collection}", get(list))
        .route("/api/{collection}/{id}", get(one))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
}

/// What every request meets first: being slow, the token, the budget, the faults.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let faults = shared.faults();
    if faults.slow_ms > 0 {
        tokio::time::sleep(faults.slow()).await;
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    if !signed_in(&shared, request.headers()) {
        return Error::Token.into_response();
    }
    let verdict = locked(&shared.bucket).take();
    let (too_many, stumbles) = {
        let mut chance = locked(&shared.chance);
        (chance.chance(faults.answer_429), chance.chance(faults.answer_500))
    };
    let retry_after = verdict.retry_after.or(too_many.then_some(1));
    let mut response = if retry_after.is_some() {
        Error::RateLimited.into_response()
    } else if stumbles {
        Error::Stumbled.into_response()
    } else {
        next.run(request).await
    };
    tell(response.headers_mut(), verdict, retry_after);
    // The shop's own time, which a test may have chosen, and not the server library's.
    if let Ok(date) = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&shared.now())
        && let Ok(date) = HeaderValue::try_from(date)
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn signed_in(shared: &Shared, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|token| locked(&shared.grants).is_good(token, shared.now()))
}

/// The token behind `Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn tell(headers: &mut HeaderMap, verdict: Verdict, retry_after: Option<u64>) {
    headers.insert("x-ratelimit-limit", verdict.limit.into());
    headers.insert("x-ratelimit-remaining", verdict.remaining.into());
    headers.insert("x-ratelimit-reset", verdict.reset.into());
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

async fn me() -> Json<serde_json::Value> {
    Json(json!({ "id": 1, "name": "Sandbox shop", "currency": "EUR", "time_zone": "UTC" }))
}

/// Where a listing goes on; what an app sees of it is opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    /// After the change with this stamp.
    after: i64,
    /// How many items the listing had at its first page.
    total: usize,
}

impl Cursor {
    fn write(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", self.after, self.total))
    }

    fn read(text: &str) -> Result<Self, Error> {
        let read = || {
            let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (after, total) = text.split_once(':')?;
            Some(Self { after: after.parse().ok()?, total: total.parse().ok()? })
        };
        read().ok_or(Error::Parameter("cursor", "is not one that this shop gave out"))
    }
}

async fn list(
    State(shared): State<Shared>,
    Path(collection): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let collection = collection_named(&collection)
        .filter(|&collection| collection != Collection::Products)
        .ok_or(Error::NotFound)?;
    let query = Form::read(query.unwrap_or_default().as_bytes());
    let limit = limit(&query)?;
    let since = time(&query, "updated_since")?;
    let cursor = query.get("cursor").map(Cursor::read).transpose()?;

    let (items, answer) = {
        let shop = locked(&shared.shop);
        let total = match cursor {
            Some(cursor) => cursor.total,
            None => shop.count_since(collection, since),
        };
        let from = cursor.map_or(since.unwrap_or(i64::MIN), |cursor| cursor.after + 1);
        let found = shop.changed_from(collection, from, limit);
        (found.items.len(), part(&found, total))
    };
    hand_out(&shared, items).await;
    Ok(answer)
}

/// Takes the time that so many items take.
async fn hand_out(shared: &Shared, items: usize) {
    let rate = locked(&shared.settings).items_per_second;
    if rate > 0 {
        tokio::time::sleep(Duration::from_secs_f64(items as f64 / f64::from(rate))).await;
    }
}

async fn events(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let query = Form::read(query.unwrap_or_default().as_bytes());
    let limit = limit(&query)?;
    let since = time(&query, "since")?.unwrap_or(i64::MIN);
    let until = time(&query, "until")?.unwrap_or(i64::MAX);
    let cursor = query.get("cursor").map(Cursor::read).transpose()?;

    let shop = locked(&shared.shop);
    let total = match cursor {
        Some(cursor) => cursor.total,
        None => shop.event_count(since, until),
    };
    let from = cursor.map_or(since, |cursor| cursor.after + 1);
    Ok(part(&shop.events(from, until, limit), total))
}

async fn products(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let query = Form::read(query.unwrap_or_default().as_bytes());
    let limit = limit(&query)?;
    let since = time(&query, "updated_since")?;
    let page = match query.get("page").map(str::parse::<usize>) {
        None => 1,
        Some(Ok(page)) if page > 0 => page,
        Some(_) => return Err(Error::Parameter("page", "is a number from 1 on")),
    };

    let (items, answer) = {
        let shop = locked(&shared.shop);
        let total = shop.count_since(Collection::Products, since);
        let first = (page - 1).saturating_mul(limit);
        let Part { items, .. } = shop.by_number(Collection::Products, since, first, limit);
        let pages = total.div_ceil(limit);
        let rest = format!(r#""page":{page},"pages":{pages},"total":{total}"#);
        (items.len(), data(&items, &rest))
    };
    hand_out(&shared, items).await;
    Ok(answer)
}

async fn one(
    State(shared): State<Shared>,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Response, Error> {
    let collection = collection_named(&collection).ok_or(Error::NotFound)?;
    let item = locked(&shared.shop).item(collection, &id).ok_or(Error::NotFound)?;
    Ok(as_json(item))
}

async fn list_webhooks(State(shared): State<Shared>) -> Json<serde_json::Value> {
    Json(json!({ "data": shared.webhooks.list() }))
}

async fn create_webhook(
    State(shared): State<Shared>,
    body: Bytes,
) -> Result<impl IntoResponse, Error> {
    #[derive(Deserialize)]
    struct Asked {
        url: String,
        events: Vec<String>,
    }
    let asked: Asked = serde_json::from_slice(&body).map_err(|_| webhook::Error::Body)?;
    let created = shared.webhooks.create(&shared, &asked.url, asked.events)?;
    Ok((StatusCode::CREATED, Json(created)))
}

async fn delete_webhook(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    if shared.webhooks.delete(&id) { Ok(StatusCode::NO_CONTENT) } else { Err(Error::NotFound) }
}

pub(crate) fn collection_named(name: &str) -> Option<Collection> {
    match name {
        "orders" => Some(Collection::Orders),
        "customers" => Some(Collection::Customers),
        "stock" => Some(Collection::Stock),
        "products" => Some(Collection::Products),
        _ => None,
    }
}

fn limit(query: &Form) -> Result<usize, Error> {
    match query.get("limit").map(str::parse) {
        None => Ok(USUAL),
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(_) => Err(Error::Parameter("limit", "is a number from 1 to 250")),
    }
}

/// A time in a query, as a stamp. Parts of a microsecond are cut off, so that a bound that is
/// inclusive never excludes what it names.
fn time(query: &Form, name: &'static str) -> Result<Option<i64>, Error> {
    query
        .get(name)
        .map(|text| text.parse::<Timestamp>().map(Timestamp::as_microsecond))
        .transpose()
        .map_err(|_| Error::Parameter(name, "is not a time as RFC 3339 writes it"))
}

fn part(part: &Part, total: usize) -> Response {
    let next = part.more_after.map(|after| Cursor { after, total }.write());
    let next = next.map_or("null".into(), |cursor| format!("\"{cursor}\""));
    data(&part.items, &format!(r#""next_cursor":{next},"total":{total}"#))
}

fn data(items: &[Vec<u8>], rest: &str) -> Response {
    let mut body = Vec::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + 99);
    body.extend_from_slice(b"{\"data\":[");
    body.extend(items.join(&b','));
    body.extend_from_slice(b"],");
    body.extend_from_slice(rest.as_bytes());
    body.push(b'}');
    as_json(body)
}

fn as_json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
}
