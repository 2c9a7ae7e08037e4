//! `patchbay serve`: Patchbay without a window.
//!
//! It begins in this order: take the data directory, start the log, open the vault, take both
//! ports, open the shop and the engine, and only when everything answers, announce it. It ends
//! the other way round: take no more, finish what is in hand, close.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use api::error::ApiError;
use api::host::{Error, Host, HostKind};
use api::ingress::Ingress;
use api::login::Logins;
use api::{Addresses, door};
use domain::secret::Secret;
use engine::clock::SystemClock;
use engine::data_dir::{DataDir, Serving};
use engine::host::{VaultChoice, open_vault};
use engine::tunnel::{Environment, ServeIngress};
use engine::vault::{Kind, Vault};
use engine::{Config, Engine, SandboxAddress};
use sandbox::Sandbox;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::args::ServeArgs;
use crate::commands::Format;
use crate::failure::Failure;
use crate::output::{complain, say, say_json};
use crate::{log, places};

/// How long what is in hand may take at the end.
const GRACE: Duration = Duration::from_secs(10);
/// The file of the owner's token, in the data directory.
const TOKEN_FILE: &str = "token";
/// What the shop wrote down, in the data directory.
const SHOP_JOURNAL: &str = "sandbox.jsonl";

/// Serves until it is told to stop.
pub(crate) fn run(args: ServeArgs, data_dir: &Path, format: Format) -> Result<ExitCode, Failure> {
    let data_dir = DataDir::own(data_dir)?;
    log::start(data_dir.path(), &args.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args, data_dir, format))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: ServeArgs, data_dir: DataDir, format: Format) -> Result<(), Failure> {
    let stopping = Stopping::listen()?;
    let vault = vault(&args, &data_dir).await?;
    let (api, ingress) = (bind("--api", args.api).await?, bind("--ingress", args.ingress).await?);
    let shop = if args.sandbox { Some(shop(&data_dir).await?) } else { None };
    let serving = Running::open(vault, data_dir, shop, api, ingress).await?;
    serving.announce(format)?;
    stopping.wait().await;
    serving.stop().await;
    Ok(())
}

async fn vault(args: &ServeArgs, data_dir: &DataDir) -> Result<Vault, Failure> {
    let choice = args.vault.map_or(VaultChoice::Any, VaultChoice::from);
    let key_file = places::key_file(args.key_file.vault_key_file.clone())?;
    let vault = open_vault(choice, data_dir, &key_file).await.map_err(|error| match error {
        engine::host::Error::DataDir(error) => Failure::from(error),
        engine::host::Error::Vault(error) => ApiError::from(error).into(),
    })?;
    if vault.kind() == Kind::Missing {
        complain("There is no keychain here, so nothing that needs a secret can be done yet.");
        complain("Run `patchbay vault init` once, then start Patchbay again.");
    }
    Ok(vault)
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

async fn shop(data_dir: &DataDir) -> Result<Sandbox, Failure> {
    let journal = Some(data_dir.path().join(SHOP_JOURNAL));
    let options = sandbox::Options { journal, ..sandbox::Options::default() };
    Sandbox::start(options)
        .await
        .map_err(|error| Failure::new("sandbox", format!("the sandbox shop: {error}")))
}

fn address_of(shop: &Sandbox) -> Result<SandboxAddress, Failure> {
    let url = |text: String| {
        Url::parse(&text).map_err(|error| Failure::new("sandbox", error.to_string()))
    };
    Ok(SandboxAddress {
        url: url(shop.url())?,
        control_url: url(shop.control_url())?,
        control_token: Secret::new(shop.control_token().to_owned()),
    })
}

/// All that runs.
struct Running {
    engine: Engine,
    logins: Logins,
    addresses: Addresses,
    shop: Option<Sandbox>,
    /// Told first: strangers get no more.
    no_more: CancellationToken,
    /// Told last, so that the pages see how the rest ends.
    closing: CancellationToken,
    ingress: JoinHandle<()>,
    api: JoinHandle<io::Result<()>>,
}

impl Running {
    async fn open(
        vault: Vault,
        data_dir: DataDir,
        shop: Option<Sandbox>,
        api: TcpListener,
        ingress: TcpListener,
    ) -> Result<Self, Failure> {
        let logins = Logins::new().map_err(|error| Failure::new("random", error.to_string()))?;
        let api_address = api.local_addr()?;
        let ingress_url = url_of(ingress.local_addr()?)?;
        let addresses =
            Addresses { api: Some(url_of(api_address)?), ingress: Some(ingress_url.clone()) };
        let config = Config {
            data_dir,
            clock: Arc::new(SystemClock),
            vault,
            sandbox: shop.as_ref().map(address_of).transpose()?,
            environment: Environment::new(std::env::vars_os()),
        };
        let engine = Engine::open(config).await.map_err(ApiError::from)?;
        engine.managed_at(api_address.port());

        let (no_more, closing) = (CancellationToken::new(), CancellationToken::new());
        let door_for_strangers = Ingress::new();
        engine.start(ingress_url, Arc::new(door_for_strangers.clone())).await;
        let serving = door_for_strangers.serve(engine.clone(), ingress, None, no_more.clone());
        let router =
            api::management(engine.clone(), Arc::new(Headless), logins.clone(), addresses.clone());
        let router = door::lock(router, logins.clone(), api_address);
        Ok(Self {
            ingress: tokio::spawn(serving),
            api: tokio::spawn(door::serve(api, router, closing.clone())),
            engine,
            logins,
            addresses,
            shop,
            no_more,
            closing,
        })
    }

    /// Says that it is ready, to programs in `serve.json` and to people.
    fn announce(&self, format: Format) -> Result<(), Failure> {
        let data_dir = self.engine.data_dir();
        let token_file = data_dir.write(TOKEN_FILE, self.logins.token().expose().as_bytes())?;
        let bare = |url: &Option<Url>| url.as_ref().map(api::bare).unwrap_or_default();
        let serving = Serving {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_url: bare(&self.addresses.api),
            ingress_url: bare(&self.addresses.ingress),
            token_file,
        };
        data_dir.announce(&serving)?;
        let code = self.logins.code().map_err(|error| Failure::new("random", error.to_string()))?;
        let login = self.addresses.api.as_ref().map(|url| api::login_url(url, &code));
        match format {
            Format::Json => say_json(&json!({ "url": login, "ingress_url": serving.ingress_url })),
            Format::Text => say(&format!("Patchbay is at {}", login.unwrap_or_default())),
        }
        tracing::info!(
            api = serving.api_url,
            ingress = serving.ingress_url,
            data = %data_dir.path().display(),
            "Patchbay {} is ready",
            serving.version
        );
        Ok(())
    }

    /// Takes no more, finishes what is in hand, closes.
    async fn stop(self) {
        tracing::info!("stopping");
        self.engine.data_dir().withdraw();
        self.no_more.cancel();
        let finishing = async {
            let _ = self.ingress.await;
            self.engine.stop().await;
            self.closing.cancel();
            let _ = self.api.await;
            if let Some(shop) = self.shop {
                shop.stop().await;
            }
        };
        if tokio::time::timeout(GRACE, finishing).await.is_err() {
            tracing::warn!("stopped with work in hand that did not end within {GRACE:?}");
        }
        tracing::info!("stopped");
    }
}

/// An address as somebody on this machine calls it.
fn url_of(address: SocketAddr) -> Result<Url, Failure> {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv6() => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    Url::parse(&format!("http://{}", SocketAddr::new(ip, address.port())))
        .map_err(|error| Failure::new("listen", error.to_string()))
}

/// A host that has no screen: it opens nothing, and whoever started it starts it again.
struct Headless;

impl Host for Headless {
    fn kind(&self) -> HostKind {
        HostKind::Headless
    }

    fn open_url(&self, _: &Url) -> Result<(), Error> {
        Err(Error::NoBrowser)
    }

    fn autostart(&self) -> Option<bool> {
        None
    }

    fn set_autostart(&self, _: bool) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}

/// The signals that end a service.
struct Stopping {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(windows)]
    ctrl_c: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    ctrl_close: tokio::signal::windows::CtrlClose,
}

#[cfg(unix)]
impl Stopping {
    /// From now on they end nothing by themselves.
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(windows)]
impl Stopping {
    /// From now on they end nothing by themselves.
    fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        Ok(Self { ctrl_c: ctrl_c()?, ctrl_close: ctrl_close()? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.ctrl_close.recv() => {}
        }
    }
}
