//! `patchbay serve`: Patchbay without a window.
//!
//! It takes the data directory first, then starts the log, opens the vault and takes both ports;
//! the rest begins as in every host, see [`host::running`].

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use api::error::ApiError;
use api::host::{Error, Host, HostKind};
use engine::data_dir::DataDir;
use engine::host::{VaultChoice, open_vault};
use engine::vault::Vault;
use host::running::{Parts, Running};
use host::{Stopping, log};
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

use crate::args::ServeArgs;
use crate::commands::Format;
use crate::failure::Failure;
use crate::output::{complain, say, say_json};
use crate::{places, program};

/// How long threads that are still at work are waited for at the very end.
const REST: Duration = Duration::from_millis(200);

/// Serves until it is told to stop.
pub(crate) fn run(args: ServeArgs, data_dir: &Path, format: Format) -> Result<ExitCode, Failure> {
    let data_dir = DataDir::own(data_dir)?;
    log::start(data_dir.path(), &args.log)
        .map_err(|error| Failure::new("log", error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(args, data_dir, format));
    // A keychain that waits for its user would be waited for without end.
    runtime.shutdown_timeout(REST);
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: ServeArgs, data_dir: DataDir, format: Format) -> Result<(), Failure> {
    let stopping = Stopping::listen()?;
    let vault = vault(&args, &data_dir)?;
    tokio::spawn(say_what_is_wrong(vault.clone()));
    let (api, ingress) = (bind("--api", args.api).await?, bind("--ingress", args.ingress).await?);
    let host = Arc::new(Headless);
    let parts = Parts { data_dir, vault, sandbox: args.sandbox, api, ingress, host };
    let running = Running::open(parts).await?;
    announce(&running, format)?;
    stopping.wait().await;
    running.stop().await;
    Ok(())
}

fn vault(args: &ServeArgs, data_dir: &DataDir) -> Result<Vault, Failure> {
    let choice = args.vault.map_or(VaultChoice::Any, VaultChoice::from);
    let key_file = places::key_file(args.key_file.vault_key_file.clone())?;
    Ok(open_vault(choice, data_dir, &key_file)?)
}

/// Tells whoever started this that nothing which needs a secret can be done, and what helps. All
/// else works meanwhile.
async fn say_what_is_wrong(vault: Vault) {
    let vault = vault.settled().await;
    let Err(error) = vault.state().await else { return };
    tracing::warn!(%error, "the vault cannot be used");
    complain(&format!("Nothing that needs a secret can be done: {error}."));
    if let Some(hint) = &ApiError::from(error).detail().hint {
        complain(&program::as_called(hint));
    }
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::new("port_taken", format!("{address} is taken by another program"))
                .hint(format!("End that program, or choose another port with {flag}."))
        }
        _ => Failure::new("listen", format!("{address} cannot be listened on: {error}"))
            .hint(format!("Choose another address with {flag}.")),
    })
}

/// Says that it is ready, to programs in `serve.json` and to people.
fn announce(running: &Running, format: Format) -> Result<(), Failure> {
    let serving = running.announce()?;
    let login = running.login_url().map_err(host::running::Error::from)?;
    match format {
        Format::Json => say_json(&json!({ "url": login, "ingress_url": serving.ingress_url })),
        Format::Text => say(&format!("Patchbay is at {login}")),
    }
    Ok(())
}

impl From<host::running::Error> for Failure {
    fn from(error: host::running::Error) -> Self {
        use host::running::Error;
        match error {
            Error::Engine(error) => ApiError::from(error).into(),
            Error::DataDir(error) => error.into(),
            Error::Sandbox(_) => Self::new("sandbox", error.to_string()),
            Error::Listener(_) | Error::Url(_) => Self::new("listen", error.to_string()),
            Error::NoRandomness(_) => Self::new("random", error.to_string()),
        }
    }
}

/// A host that has no screen: it opens nothing, and whoever started it starts it again.
struct Headless;

impl Host for Headless {
    fn kind(&self) -> HostKind {
        HostKind::Headless
    }

    fn program(&self) -> String {
        host::places::program()
    }

    fn open_url(&self, _: &Url) -> Result<(), Error> {
        Err(Error::NoBrowser)
    }

    fn quit(&self) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn autostart(&self) -> Option<bool> {
        None
    }

    fn set_autostart(&self, _: bool) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}
