//! The contract itself.

use std::sync::LazyLock;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::header;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    serde_json::to_vec(&crate::openapi()).expect("the document is plain data").into()
});

/// Describes all routes, as OpenAPI.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "health",
    responses((status = OK, body = Object)),
)]
pub(crate) async fn get_openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}
