//! A host at work: the shop, the engine and both listeners.
//!
//! It begins in this order: the shop, the engine, strangers' listener, the user's listener; and
//! only when everything answers is it announced. It ends the other way round: take no more, finish
//! what is in hand, close.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::open_files;
use api::host::Host;
use api::ingress::Ingress;
use api::login::{Logins, NoRandomness};
use api::{Addresses, door};
use axum::Router;
use domain::secret::Secret;
use engine::clock::SystemClock;
use engine::data_dir::{self, DataDir, Serving};
use engine::tunnel::{Environment, ServeIngress};
use engine::vault::Vault;
use engine::{Config, Engine, OpenError, SandboxAddress};
use sandbox::Sandbox;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

// How long what is in hand may take at the end: ten seconds in all.
const INGRESS_SHARE: Duration = Duration::from_secs(4);
const ENGINE_SHARE: Duration = Duration::from_secs(5);
const REST_SHARE: Duration = Duration::from_secs(1);
/// The file of the owner's token, in the data directory.
const TOKEN_FILE: &str = "token";
/// At what pace the shop hands out its lists: its 1,200 orders take three seconds, in which somebody
/// sees how a sync gets on.
const ITEMS_PER_SECOND: u32 = 400;
/// What the shop wrote down, in the data directory.
const SHOP_JOURNAL: &str = "sandbox.jsonl";

/// Why a host could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine could not be opened.
    #[error(transparent)]
    Engine(#[from] OpenError),
    /// The data directory could not be written to.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The shop could not be opened.
    #[error("the sandbox shop: {0}")]
    Sandbox(#[from] sandbox::Error),
    /// A listener has no address that could be told.
    #[error("a listener has no address: {0}")]
    Listener(#[from] io::Error),
    /// An address makes no URL.
    #[error("an address makes no URL: {0}")]
    Url(#[from] url::ParseError),
    /// The system gives no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What a host brings.
pub struct Parts {
    /// What it owns.
    pub data_dir: DataDir,
    /// Where secrets are kept.
    pub vault: Vault,
    /// Whether the shop is opened.
    pub sandbox: bool,
    /// Where the user comes in. Loopback.
    pub api: TcpListener,
    /// Where strangers come in.
    pub ingress: TcpListener,
    /// The host itself.
    pub host: Arc<dyn Host>,
}

/// All that runs. Call [`Running::stop`]; dropping it ends nothing well.
pub struct Running {
    engine: Engine,
    router: Router,
    logins: Logins,
    api_url: Url,
    ingress_url: Url,
    shop: Option<Sandbox>,
    /// Told first: strangers get no more.
    no_more: CancellationToken,
    /// Told last, so that the pages see how the rest ends.
    closing: CancellationToken,
    ingress: JoinHandle<()>,
    api: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When a part cannot; what had begun has ended then.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let Parts { data_dir, vault, sandbox, api, ingress, host } = parts;
        let open_files = open_files::raise();
        let logins = Logins::new()?;
        let api_address = api.local_addr()?;
        let (api_url, ingress_url) = (url_of(api_address)?, url_of(ingress.local_addr()?)?);
        let shop = if sandbox { Some(open_shop(&data_dir).await?) } else { None };
        let config = Config {
            data_dir,
            clock: Arc::new(SystemClock),
            vault,
            sandbox: shop.as_ref().map(address_of).transpose()?,
            environment: Environment::new(std::env::vars_os()),
        };
        let engine = Engine::open(config).await?;
        engine.managed_at(api_address.port());

        let (no_more, closing) = (CancellationToken::new(), CancellationToken::new());
        let door_for_strangers = Ingress::new(open_files);
        engine.start(ingress_url.clone(), Arc::new(door_for_strangers.clone())).await;
        let serving = door_for_strangers.serve(engine.clone(), ingress, None, no_more.clone());
        let addresses =
            Addresses { api: Some(api_url.clone()), ingress: Some(ingress_url.clone()) };
        let router = api::management(engine.clone(), host, logins.clone(), addresses);
        let locked = door::lock(router.clone(), logins.clone(), api_address);
        Ok(Self {
            ingress: tokio::spawn(serving),
            api: tokio::spawn(door::serve(api, locked, closing.clone())),
            engine,
            router,
            logins,
            api_url,
            ingress_url,
            shop,
            no_more,
            closing,
        })
    }

    /// Says that it is ready, in `serve.json`.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn announce(&self) -> Result<Serving, Error> {
        let data_dir = self.engine.data_dir();
        let token_file = data_dir.write(TOKEN_FILE, self.logins.token().expose().as_bytes())?;
        let serving = Serving {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_url: api::bare(&self.api_url),
            ingress_url: api::bare(&self.ingress_url),
            token_file,
        };
        data_dir.announce(&serving)?;
        tracing::info!(
            api = serving.api_url,
            ingress = serving.ingress_url,
            data = %data_dir.path().display(),
            "Patchbay {} is ready",
            serving.version
        );
        Ok(serving)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The management router without a lock, for callers in this process.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// An address of the pages that logs in, once.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn login_url(&self) -> Result<String, NoRandomness> {
        Ok(api::login_url(&self.api_url, &self.logins.code()?))
    }

    /// Where the shop is, if there is one.
    pub fn sandbox(&self) -> Option<&SandboxAddress> {
        self.engine.sandbox()
    }

    /// Takes no more, finishes what is in hand, closes.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.engine.data_dir().withdraw();
        self.no_more.cancel();
        // Each has its share, so that a sender who never finishes cannot keep the store from being
        // closed well.
        within(INGRESS_SHARE, "requests in hand", self.ingress).await;
        within(ENGINE_SHARE, "work in hand", self.engine.stop()).await;
        self.closing.cancel();
        let rest = async {
            let _ = self.api.await;
            if let Some(shop) = self.shop {
                shop.stop().await;
            }
        };
        within(REST_SHARE, "pages", rest).await;
        tracing::info!("stopped");
    }
}

async fn within<T>(share: Duration, what: &str, work: impl Future<Output = T>) {
    if tokio::time::timeout(share, work).await.is_err() {
        tracing::warn!("stopped with {what} that did not end within {share:?}");
    }
}

async fn open_shop(data_dir: &DataDir) -> Result<Sandbox, sandbox::Error> {
    let journal = Some(data_dir.path().join(SHOP_JOURNAL));
    let options = sandbox::Options {
        journal,
        items_per_second: ITEMS_PER_SECOND,
        ..sandbox::Options::default()
    };
    Sandbox::start(options).await
}

fn address_of(shop: &Sandbox) -> Result<SandboxAddress, url::ParseError> {
    Ok(SandboxAddress {
        url: Url::parse(&shop.url())?,
        control_url: Url::parse(&shop.control_url())?,
        control_token: Secret::new(shop.control_token().to_owned()),
    })
}

/// An address as somebody on this machine calls it.
fn url_of(address: SocketAddr) -> Result<Url, url::ParseError> {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv6() => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    Url::parse(&format!("http://{}", SocketAddr::new(ip, address.port())))
}
