//! What the shop hands out as files, and below its orders: a catalogue that says whether it has
//! changed, exports that are made first, a journal of what happened, and the lines of an order.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rest::{Error, collection_named};
use crate::shop::Collection;
use crate::{Shared, locked};

/// How many events a file of the journal holds.
const EVENTS: usize = 50;
/// After how many questions an export is ready.
const QUESTIONS: u32 = 2;
/// The most exports that are kept; the oldest is forgotten.
const MOST_EXPORTS: usize = 100;

/// The exports that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    made: BTreeMap<u64, Export>,
    count: u64,
}

#[derive(Debug)]
struct Export {
    of: Collection,
    /// How often somebody asked whether it is ready.
    asked: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    of: String,
}

fn lines(items: &[Vec<u8>]) -> Vec<u8> {
    let mut text = items.join(&b'\n');
    text.push(b'\n');
    text
}

/// All products, one on each line; 304 to whoever has them as they are.
pub(crate) async fn catalogue(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let items = {
        let shop = locked(&shared.shop);
        shop.by_number(Collection::Products, None, 0, usize::MAX).items
    };
    let body = lines(&items);
    let digest: String = Sha256::digest(&body)[..8].iter().map(|it| format!("{it:02x}")).collect();
    let etag = format!("\"{digest}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let mut response = if known == Some(etag.as_str()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        as_lines(body)
    };
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn as_lines(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::from(body)).into_response()
}

/// The lines of an order, numbered from 1.
pub(crate) async fn order_lines(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Error> {
    let order = locked(&shared.shop).item(Collection::Orders, &id).ok_or(Error::NotFound)?;
    let mut order: Value = serde_json::from_slice(&order).unwrap_or_default();
    let mut lines = order["lines"].take();
    for (number, line) in (1..).zip(lines.as_array_mut().into_iter().flatten()) {
        line["line"] = json!(number);
    }
    Ok(Json(json!({ "data": lines })))
}

/// Begins an export.
pub(crate) async fn create(
    State(shared): State<Shared>,
    Json(asked): Json<Asked>,
) -> Result<(StatusCode, Json<Value>), Error> {
    let of = collection_named(&asked.of)
        .ok_or(Error::Parameter("of", "is one of orders, customers, stock, products"))?;
    let mut exports = locked(&shared.exports);
    exports.count += 1;
    let id = exports.count;
    exports.made.insert(id, Export { of, asked: 0 });
    if exports.made.len() > MOST_EXPORTS {
        exports.made.pop_first();
    }
    Ok((StatusCode::CREATED, Json(json!({ "id": id, "state": "making" }))))
}

/// Whether an export is ready, and where its file is then.
pub(crate) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Json<Value>, Error> {
    let mut exports = locked(&shared.exports);
    let export = exports.made.get_mut(&id).ok_or(Error::NotFound)?;
    export.asked += 1;
    if export.asked < QUESTIONS {
        return Ok(Json(json!({ "id": id, "state": "making" })));
    }
    let url = address(&headers, &format!("/api/exports/{id}/file"));
    Ok(Json(json!({ "id": id, "state": "ready", "urls": [url] })))
}

/// Gives an export up.
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Error> {
    locked(&shared.exports).made.remove(&id).ok_or(Error::NotFound)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The file of an export: the collection as it is now, one item on each line.
pub(crate) async fn file(
    State(shared): State<Shared>,
    Path(id): Path<u64>,
) -> Result<Response, Error> {
    let of = locked(&shared.exports).made.get(&id).map(|export| export.of);
    let of = of.ok_or(Error::NotFound)?;
    let items = locked(&shared.shop).changed_from(of, i64::MIN, usize::MAX).items;
    Ok(as_lines(lines(&items)))
}

/// The first entry of the journal.
pub(crate) async fn journal_first(state: State<Shared>, headers: HeaderMap) -> Response {
    entry(&state, i64::MIN, &headers)
}

/// The entry after an offset.
pub(crate) async fn journal_next(
    state: State<Shared>,
    Path(offset): Path<i64>,
    headers: HeaderMap,
) -> Response {
    entry(&state, offset.saturating_add(1), &headers)
}

/// An entry names its file and its offset; 204 where there is nothing yet.
fn entry(shared: &Shared, from: i64, headers: &HeaderMap) -> Response {
    let shop = locked(&shared.shop);
    let Some(last) = shop.last_of(from, EVENTS) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let url = address(headers, &format!("/api/journal/{from}/{last}"));
    Json(json!({ "offset": last, "url": url })).into_response()
}

/// A file of the journal: events from a stamp to another.
pub(crate) async fn journal_file(
    State(shared): State<Shared>,
    Path((from, last)): Path<(i64, i64)>,
) -> Response {
    let until = last.saturating_add(1);
    as_lines(lines(&locked(&shared.shop).events(from, until, EVENTS).items))
}

/// An address of the shop, as whoever asks calls it.
fn address(headers: &HeaderMap, path: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("http://{host}{path}")
}
