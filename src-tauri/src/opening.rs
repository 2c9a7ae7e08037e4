//! From owning the data to serving it, while the window shows itself already.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::host::Host;
use api::unavailable::unavailable;
use engine::OpenError;
use engine::data_dir::DataDir;
use engine::host::{VaultChoice, open_vault};
use engine::vault::Vault;
use host::running::{Error, Parts, Running};
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

/// Opens everything. Where that fails, the door says why.
pub(crate) async fn open(args: &Args, data_dir: DataDir, host: Arc<WindowHost>) -> Opened {
    let path = data_dir.path().to_owned();
    match try_open(args, data_dir, host.clone()).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!("Patchbay could not start: {error}");
            let host: Arc<dyn Host> = host;
            Opened { door: shut(as_open_error(error), &host, &path), running: None, moved_to: None }
        }
    }
}

/// A door that says why there is nothing behind it.
pub(crate) fn shut(error: OpenError, host: &Arc<dyn Host>, data_dir: &Path) -> Door {
    Door::Shut(unavailable(error, host, data_dir))
}

async fn try_open(args: &Args, data_dir: DataDir, host: Arc<WindowHost>) -> Result<Opened, Error> {
    let vault = vault(args.vault_key_file.clone(), &data_dir)?;
    let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (ingress, moved) = listen(args.ingress).await?;
    let moved_to = moved.then(|| ingress.local_addr()).transpose()?;
    let parts = Parts { data_dir, vault, sandbox: args.sandbox, api, ingress, host: host.clone() };
    let running = Running::open(parts).await?;
    if let Some(sandbox) = running.sandbox() {
        host.sandbox_at(sandbox.url.clone());
    }
    running.announce()?;
    let door = Door::Ours {
        router: running.router().clone(),
        changes: running.engine().changes().clone(),
    };
    Ok(Opened { door, running: Some(running), moved_to })
}

/// The vault, or one that says why there is none: the pages can show that, and most of Patchbay
/// works without.
fn vault(key_file: Option<PathBuf>, data_dir: &DataDir) -> Result<Vault, Error> {
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
fn as_open_error(error: Error) -> OpenError {
    match error {
        Error::Engine(error) => error,
        Error::DataDir(error) => error.into(),
        other => engine::store::Error::Io(other.to_string()).into(),
    }
}
