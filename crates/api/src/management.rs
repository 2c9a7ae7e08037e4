//! The management router: everything that a person or a program can ask of Patchbay.
//!
//! One router, three doors: the window calls it in-process, [`crate::door`] puts a lock in front
//! of it for loopback TCP, tests call it with `oneshot`. There is no second list of commands.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef};
use axum::{Router, middleware};
use engine::Engine;
use url::Url;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::error::ApiError;
use crate::host::Host;
use crate::login::Logins;
use crate::{headers, pages, routes};

/// Most bytes of a request's body.
const BODY_LIMIT: usize = 1024 * 1024;

/// Where the host listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The management listener; none where the router is only called in-process.
    pub api: Option<Url>,
    /// The ingress listener.
    pub ingress: Option<Url>,
}

/// What the routes share.
#[derive(Clone, FromRef)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) logins: Logins,
    pub(crate) addresses: Addresses,
}

/// All routes over `engine`, without a lock. Put [`crate::door::lock`] in front of it before it
/// goes on a socket.
pub fn management(
    engine: Engine,
    host: Arc<dyn Host>,
    logins: Logins,
    addresses: Addresses,
) -> Router {
    let shared = Shared { engine, host, logins, addresses };
    let (router, _) = described().split_for_parts();
    router
        .fallback(pages::answer)
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(headers::layer))
        .with_state(shared)
}

/// The contract: what `ui/openapi.json` holds and `GET /api/openapi.json` answers.
pub fn openapi() -> OpenApi {
    described().split_for_parts().1
}

fn described() -> OpenApiRouter<Shared> {
    let license = LicenseBuilder::new().name("Apache-2.0 OR MIT").build();
    let info = InfoBuilder::new()
        .title("Patchbay")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("What the window and the command line ask of Patchbay."))
        .license(Some(license))
        .build();
    let empty = OpenApiBuilder::new().info(info).build();
    OpenApiRouter::with_openapi(empty).merge(routes::all())
}
