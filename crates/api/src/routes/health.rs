//! Whether somebody is here.

use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::Json;

/// Somebody is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
    version: &'static str,
}

/// Says that Patchbay is here. Needs no token and tells nothing else.
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "health",
    responses((status = OK, body = Health)),
)]
pub(crate) async fn get_health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}
