//! HTTP: what Patchbay answers, and to whom.
//!
//! Two routers that never share a listener. [`management()`] is for the user: all that can be asked
//! of the engine, reached in-process by the window and through [`door::lock`] over loopback.
//! [`ingress`] is for strangers: `/in/{key}` and nothing else.
//!
//! Only this crate turns results of ours into HTTP. What a person is told when something fails is
//! decided in [`error`].

pub mod door;
pub mod error;
pub mod host;
pub mod ingress;
pub mod login;
pub mod unavailable;

mod control;
mod extract;
mod headers;
mod list;
mod management;
mod pages;
mod patch;
mod routes;
mod secrets;
mod time;
mod why;

pub use management::{Addresses, management, openapi};
pub use pages::{pages, policy};
pub use routes::{Trial, refusal_hint};
pub use time::Time;

use domain::secret::Secret;
use url::Url;

/// The address of the pages that logs in with `code`. The code stands in the fragment, which is
/// not sent to any server and stands in no log.
pub fn login_url(api: &Url, code: &Secret) -> String {
    format!("{}/#login={}", bare(api), code.expose())
}

/// An address without the slash at its end, as a prefix of paths.
pub fn bare(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
