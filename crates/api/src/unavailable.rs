//! What is answered where a host could not begin: why, and nothing else.

use std::path::Path;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router, middleware};

use crate::error::ApiError;
use crate::host::Host;
use crate::routes::{self, Disk, Intake, Reach, SandboxStatus, Startup, Status, VaultStatus};
use crate::{headers, pages};

/// A router whose status says why Patchbay could not start. The pages show it; every other route
/// answers 503.
pub fn unavailable(error: &ApiError, host: &Arc<dyn Host>, data_dir: &Path) -> Router {
    let error = error.detail().clone();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        host: host.kind(),
        platform: std::env::consts::OS,
        data_dir: data_dir.display().to_string(),
        program: host.program(),
        api_url: None,
        ingress_url: None,
        startup: Startup::failed(&error),
        vault: VaultStatus::missing(),
        disk: Disk::default(),
        intake: Intake::default(),
        sandbox: SandboxStatus::default(),
        reach: Reach::off(),
        autostart: host.autostart(),
    };
    let refusal = ApiError::unavailable(&error);
    Router::new()
        .route("/api/health", get(routes::get_health))
        .route("/api/status", get(async move || Json(status.clone())))
        .route("/api/{*rest}", axum::routing::any(async move || refusal.clone()))
        .fallback(pages::answer)
        .layer(middleware::from_fn(headers::layer))
}
