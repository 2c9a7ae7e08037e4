//! What only a window can do: start with the computer, open a browser, quit from a page.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Json;
use crate::host::{self, Host};

/// What of the host changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostPatch {
    /// Whether it starts with the computer.
    autostart: bool,
}

/// Changes whether it starts with the computer. 404 where the host has no say in that.
#[utoipa::path(
    patch,
    path = "/api/host",
    tag = "host",
    request_body = HostPatch,
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn update_host(
    State(host): State<Arc<dyn Host>>,
    Json(patch): Json<HostPatch>,
) -> Result<StatusCode, ApiError> {
    blocking(move || host.set_autostart(patch.autostart)).await
}

/// A page to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenRequest {
    #[schema(value_type = String, format = "uri")]
    url: Url,
}

/// Opens a page in the system's browser. 501 where there is none.
#[utoipa::path(
    post,
    path = "/api/host/open",
    tag = "host",
    request_body = OpenRequest,
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn open_url(
    State(host): State<Arc<dyn Host>>,
    Json(request): Json<OpenRequest>,
) -> Result<StatusCode, ApiError> {
    // Other schemes start other programs.
    if !matches!(request.url.scheme(), "http" | "https") {
        return Err(ApiError::field("url", "is neither http nor https"));
    }
    blocking(move || host.open_url(&request.url)).await
}

/// Ends the program, so that nothing is received any more. 404 where pages have no say in that.
#[utoipa::path(
    post,
    path = "/api/host/quit",
    tag = "host",
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn quit(State(host): State<Arc<dyn Host>>) -> Result<StatusCode, ApiError> {
    blocking(move || host.quit()).await
}

async fn blocking(
    work: impl FnOnce() -> Result<(), host::Error> + Send + 'static,
) -> Result<StatusCode, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::host_failed(error.to_string()))??;
    Ok(StatusCode::NO_CONTENT)
}

impl From<host::Error> for ApiError {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::NoBrowser => Self::no_browser(),
            host::Error::Unsupported => Self::not_found(),
            host::Error::System(why) => Self::host_failed(why),
        }
    }
}
