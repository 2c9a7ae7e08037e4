//! From owning the data to serving it, while the window shows itself already.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::error::{ApiError, Code};
use api::host::Host;
use api::unavailable::unavailable;
use engine::OpenError;
use engine::data_dir::DataDir;
use engine::host::{VaultChoice, open_vault};
use engine::vault::Vault;
use host::running::{self, Parts, Running};
use http::StatusCode;
use tokio::net::TcpListener;

use crate::args::{Args, INGRESS};
use crate::door::Door;
use crate::window_host::WindowHost;

/// What came of it.
pub(crate) struct Opened {
    /// What requests go to.
    pub(crate) door: Door,
    /// What has to be stopped at the end.
    pub(crate) running: Option<Running>,
    /// Where strangers come in, where that is not where they usually do.
    pub(crate) moved_to: Option<SocketAddr>,
}

impl Opened {
    /// A door with nothing of ours behind it.
    pub(crate) fn only(door: Door) -> Self {
        Self { door, running: None, moved_to: None }
    }
}

/// Opens everything. Where that fails, the door says why.
pub(crate) async fn open(args: &Args, data_dir: DataDir, host: Arc<WindowHost>) -> Opened {
    let path = data_dir.path().to_owned();
    match try_open(args, data_dir, host.clone()).await {
        Ok(opened) => opened,
        Err(error) => {
            let host: Arc<dyn Host> = host;
            Opened::only(shut(&said(error), &host, &path))
        }
    }
}

/// A door that says why there is nothing behind it.
pub(crate) fn shut(error: &ApiError, host: &Arc<dyn Host>, data_dir: &Path) -> Door {
    let why = error.detail().message.clone();
    Door::Shut { router: unavailable(error, host, data_dir), why }
}

/// Why it was not opened.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// Another program, or nothing, has the address that the user named.
    #[error("webhooks cannot come in at {address}: {source}")]
    Ingress { address: SocketAddr, source: io::Error },
    /// Something else.
    #[error(transparent)]
    Host(#[from] running::Error),
}

async fn try_open(args: &Args, data_dir: DataDir, host: Arc<WindowHost>) -> Result<Opened, Error> {
    let vault = vault(args.vault_key_file.clone(), &data_dir)?;
    let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(running::Error::from)?;
    let address = args.ingress.unwrap_or(INGRESS);
    let (ingress, moved) =
        listen(args.ingress).await.map_err(|source| Error::Ingress { address, source })?;
    let moved_to = moved.then(|| ingress.local_addr()).transpose().map_err(running::Error::from)?;
    let parts = Parts { data_dir, vault, sandbox: args.sandbox, api, ingress, host: host.clone() };
    let running = Running::open(parts).await?;
    if let Some(sandbox) = running.sandbox() {
        host.sandbox_at(sandbox.url.clone());
    }
    host.open_addresses(args, running.engine().clone());
    running.announce()?;
    let door = Door::Ours {
        router: running.router().clone(),
        changes: running.engine().changes().clone(),
    };
    Ok(Opened { door, running: Some(running), moved_to })
}

/// The vault, or one that says why there is none: the pages can show that, and most of Patchbay
/// works without.
fn vault(key_file: Option<PathBuf>, data_dir: &DataDir) -> Result<Vault, running::Error> {
    let Some(key_file) = key_file.or_else(host::places::key_file) else {
        return Ok(Vault::missing("this user has no place for configuration".to_owned()));
    };
    Ok(open_vault(VaultChoice::Any, data_dir, &key_file)?)
}

/// Takes the port for strangers. Another one is taken only where the user named none.
async fn listen(given: Option<SocketAddr>) -> io::Result<(TcpListener, bool)> {
    match TcpListener::bind(given.unwrap_or(INGRESS)).await {
        Err(error) if given.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            Ok((TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, true))
        }
        listener => Ok((listener?, false)),
    }
}

/// As the pages are told it.
fn said(error: Error) -> ApiError {
    let refused = |code, message: String, hint: &str| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).hint(hint)
    };
    match error {
        Error::Ingress { address, source } if source.kind() == io::ErrorKind::AddrInUse => refused(
            Code::PortTaken,
            format!("{address} is taken by another program"),
            "End that program, or start Patchbay with another port after --ingress.",
        ),
        Error::Ingress { .. } => refused(
            Code::NotReady,
            error.to_string(),
            "Start Patchbay with another address after --ingress.",
        ),
        Error::Host(running::Error::Engine(error)) => error.into(),
        Error::Host(running::Error::DataDir(error)) => OpenError::from(error).into(),
        Error::Host(other) => refused(
            Code::NotReady,
            other.to_string(),
            "The log in the data folder says what came before.",
        ),
    }
}
