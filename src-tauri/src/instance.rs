//! One window for a data directory: a second start brings it to the front, hands it the address that
//! it was started with, and ends.
//!
//! This is apart from who owns the data. A window that is a client of `patchbay serve`, or that
//! only says why there is nothing to show, is one as well. It holds a lock in `D/window` for as
//! long as it lives and says there where it can be called, with a token, on loopback.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::door;
use api::login::Logins;
use axum::routing::post;
use axum::{Json, Router};
use engine::data_dir::{DataDir, Error};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{own_address, window};

const FOLDER: &str = "window";
const FILE: &str = "call.json";
const SHOW: &str = "/api/show";
/// How long a window may take between its lock and its address, and how often we look.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Whether this is the window.
pub(crate) enum Claim {
    /// It is.
    First(Instance),
    /// There is one, and it has come to the front if it was to.
    Called,
    /// The folder cannot be used, which the window will say.
    Unknown,
}

/// The lock of the one window, freed when it is dropped.
pub(crate) struct Instance(DataDir);

/// Where the window is called.
#[derive(Serialize, Deserialize)]
struct Call {
    url: String,
    token: String,
}

/// What a second start wants.
#[derive(Serialize, Deserialize)]
struct Wanted {
    /// That this address of our own kind is taken.
    address: Option<Url>,
}

/// Finds out whether there is a window. `show` is whether it shall come to the front, `address` what
/// it is to take then.
///
/// # Errors
///
/// When there is one that does not answer.
pub(crate) async fn claim(
    data_dir: &Path,
    show: bool,
    address: Option<&Url>,
) -> anyhow::Result<Claim> {
    let folder = data_dir.join(FOLDER);
    let begun = Instant::now();
    loop {
        match DataDir::own(&folder) {
            Ok(owned) => return Ok(Claim::First(Instance(owned))),
            Err(Error::Owned(_)) if !show && address.is_none() => return Ok(Claim::Called),
            Err(Error::Owned(_)) => {}
            Err(_) => return Ok(Claim::Unknown),
        }
        // It may be on its way, or have just gone.
        match call(&folder, address).await {
            Ok(()) => return Ok(Claim::Called),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(
                    error.context("Patchbay is open already, but its window does not answer")
                );
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Instance {
    /// Brings the window to the front whenever a second start asks for it.
    ///
    /// # Errors
    ///
    /// When there is no listener for that, or nothing can be written.
    pub(crate) async fn listen(&self, app: AppHandle) -> anyhow::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let logins = Logins::new()?;
        let show = async move |Json(wanted): Json<Wanted>| {
            window::show(&app);
            if let Some(address) = wanted.address {
                own_address::take(&app, &address).await;
            }
            StatusCode::NO_CONTENT
        };
        let router = Router::new().route(SHOW, post(show));
        let router = door::lock(router, logins.clone(), address);
        // It ends with the process.
        tokio::spawn(door::serve(listener, router, CancellationToken::new()));
        let token = logins.token().expose().to_owned();
        let call = serde_json::to_vec(&Call { url: format!("http://{address}"), token })?;
        self.0.write(FILE, &call)?;
        Ok(())
    }
}

async fn call(folder: &Path, address: Option<&Url>) -> anyhow::Result<()> {
    let text = tokio::fs::read(folder.join(FILE)).await.context("it has not said where it is")?;
    let call: Call = serde_json::from_slice(&text)?;
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let wanted = Wanted { address: address.cloned() };
    let wanted = serde_json::to_vec(&wanted)?;
    let asked = http
        .post(format!("{}{SHOW}", call.url))
        .bearer_auth(call.token)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(wanted);
    asked.send().await?.error_for_status()?;
    Ok(())
}
