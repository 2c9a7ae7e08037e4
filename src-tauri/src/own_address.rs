//! Addresses of our own kind, `patchbay://…`, with which a browser comes back from a sign-in.
//!
//! The system starts this program with one, or tells it of one where it is a Mac. Any page can have
//! one opened, so nothing is believed of it here: the engine knows whether a sign-in waits for it.

use engine::sign_in::CUSTOM_SCHEME;
use http::{Request, header};
use serde_json::json;
use tauri::{AppHandle, Manager as _};
use tauri_plugin_deep_link::DeepLinkExt as _;
use url::Url;

use crate::app::Desktop;
use crate::args::Args;

/// Says to the system that this program opens them. Whether it does now.
///
/// A start with a data folder of its own says nothing: the system would start this program without
/// it, on other data.
pub(crate) fn register(app: &AppHandle, args: &Args) -> bool {
    if args.data_dir.is_some() {
        return false;
    }
    // There it is said by the bundle, and by nothing else.
    if cfg!(target_os = "macos") {
        return true;
    }
    let links = app.deep_link();
    if links.is_registered(CUSTOM_SCHEME).unwrap_or(false) {
        return true;
    }
    links
        .register(CUSTOM_SCHEME)
        .inspect_err(|error| tracing::warn!("addresses of ours are not opened here: {error}"))
        .is_ok()
}

/// Hands one to whoever owns the data.
pub(crate) async fn take(app: &AppHandle, address: &Url) {
    let desktop = app.state::<Desktop>();
    let request = Request::post("/api/authorize/complete")
        .header(header::CONTENT_TYPE, "application/json")
        .body(json!({ "redirect_url": address }).to_string().into());
    let Ok(request) = request else { return };
    let answer = desktop.send(request).await;
    if !answer.status().is_success() {
        // Nothing of the address: what stands behind its `?` is not ours to repeat.
        tracing::info!("an address that was opened was not taken: {}", answer.status());
    }
}
