//! The application under test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::ingress::Ingress;
use api::login::Logins;
use api::{Addresses, management};
use axum::Router;
use bytes::Bytes;
use domain::secret::Secret;
use engine::clock::Clock;
use engine::data_dir::DataDir;
use engine::tunnel::{Environment, ServeIngress};
use engine::vault::{Switches, Vault};
use engine::{Config, Engine, SandboxAddress};
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use sandbox::Sandbox;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use url::Url;

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// What signs in the tests: a secret of the form that Standard Webhooks uses.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A clock that stands still until a test sets it.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Timestamp>>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics while it sets the clock")
    }
}

impl TestClock {
    /// Lets time pass.
    pub fn advance(&self, by: SignedDuration) {
        *self.0.lock().expect("no test panics while it sets the clock") += by;
    }
}

/// The real engine behind the real routers.
pub struct TestApp {
    /// The engine itself, for what has no route.
    pub engine: Engine,
    /// What the engine takes for the time of day.
    pub clock: TestClock,
    /// Locks the vault.
    pub vault: Switches,
    /// The pretend shop, where the test has one.
    pub shop: Option<Sandbox>,
    /// The tokens of the TCP door.
    pub logins: Logins,
    router: Router,
    ingress: Router,
    ingress_url: Url,
    stop: CancellationToken,
    data: TempDir,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// One header, as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An inbox, as a sender knows it.
#[derive(Debug, Clone)]
pub struct TestInbox {
    /// Its id.
    pub id: String,
    /// Its path: `/in/…`.
    pub path: String,
}

/// What of the application a test needs beyond the ordinary.
#[derive(Default)]
pub struct Options {
    /// A pretend shop of this kind.
    pub shop: Option<sandbox::Options>,
    /// Connectors of the user's own: ids, and what their files say.
    pub connectors: Vec<(&'static str, String)>,
    /// How many files the process may have open, as far as the ingress is told.
    pub open_files: Option<u64>,
    /// Where programs of others are looked for, such as those of tunnels; nowhere where it is empty.
    pub path: String,
}

impl TestApp {
    /// Starts it without a shop.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts it with a shop that sells nothing by itself.
    pub async fn with_shop() -> Self {
        let shop = sandbox::Options {
            orders_per_minute: 0,
            history_orders: 120,
            ..sandbox::Options::default()
        };
        Self::with(Options { shop: Some(shop), ..Options::default() }).await
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started, as everything here does when the world is not as it should be.
    pub async fn with(options: Options) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        // With a shop there are two clocks, which have to agree on what a signature is worth.
        let clock = TestClock(Arc::new(Mutex::new(Timestamp::now())));
        let shop = match options.shop {
            Some(options) => Some(Sandbox::start(options).await.expect("a shop")),
            None => None,
        };
        for (id, text) in &options.connectors {
            let folder = data.path().join("data/connectors").join(id);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("connector.yaml"), text).expect("a connector");
        }
        let (vault, switches) = Vault::switchable();
        let path = (!options.path.is_empty()).then(|| ("PATH".into(), options.path.into()));
        let config = Config {
            data_dir: DataDir::own(&data.path().join("data")).expect("a data directory"),
            clock: Arc::new(clock.clone()),
            vault,
            environment: Environment::new(path),
            sandbox: shop.as_ref().map(address_of),
        };
        let engine = Engine::open(config).await.expect("an engine");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let ingress_url: Url = format!("http://{address}").parse().expect("an address");
        let ingress = Ingress::new(options.open_files.unwrap_or(1_024));
        let stop = CancellationToken::new();
        engine.start(ingress_url.clone(), Arc::new(ingress.clone())).await;
        tokio::spawn(ingress.serve(engine.clone(), listener, None, stop.clone()));
        let logins = Logins::new().expect("random numbers");
        let addresses = Addresses { api: None, ingress: Some(ingress_url.clone()) };
        Self {
            router: management(engine.clone(), Arc::new(TestHost), logins.clone(), addresses),
            ingress: ingress.router(engine.clone(), address, None),
            engine,
            clock,
            vault: switches,
            shop,
            logins,
            ingress_url,
            stop,
            data,
        }
    }

    /// The management router, without a lock.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Where the ingress listens.
    pub fn ingress_url(&self) -> &Url {
        &self.ingress_url
    }

    /// The data directory.
    pub fn data(&self) -> std::path::PathBuf {
        self.data.path().join("data")
    }

    /// Asks the management router.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// Asks the management router, and expects to be answered with 200.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.json());
        answer.json()
    }

    /// Posts JSON to the management router.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Changes something over the management router.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Deletes something over the management router.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        answer(&self.router, request.body(body.into()).expect("a request")).await
    }

    /// An inbox of a connector that signs as Standard Webhooks says, or of `any`.
    pub async fn inbox(&self, connector: &str) -> TestInbox {
        let secrets = match connector {
            "any" => serde_json::json!({}),
            _ => serde_json::json!({ "signing_secret": SECRET }),
        };
        let request = serde_json::json!({
            "name": format!("Test {connector}"),
            "connector": connector,
            "secrets": secrets,
        });
        let made = self.post("/api/inboxes", request).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let made = made.json();
        let url: Url = made["local_url"].as_str().and_then(|it| it.parse().ok()).expect("a URL");
        TestInbox {
            id: made["id"].as_str().expect("an id").to_owned(),
            path: url.path().to_owned(),
        }
    }

    /// Sends a signed webhook, as its sender would.
    pub async fn send(&self, inbox: &TestInbox, id: &str, body: &str) -> Answer {
        self.knock(signed(inbox, id, body, self.clock.now())).await
    }

    /// Sends any request to the ingress router.
    pub async fn knock(&self, request: Request<axum::body::Body>) -> Answer {
        answer(&self.ingress, request).await
    }

    /// Waits until a question about the application is answered. It is asked again whenever
    /// something changes.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    pub async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.engine.changes().watch(None);
        let waiting = async {
            loop {
                if let Some(found) = ask(self).await {
                    return found;
                }
                assert!(changes.next().await.is_some(), "the engine stopped");
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{what} did not happen"))
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A webhook, signed by the library that senders use.
///
/// # Panics
///
/// When the library does not sign.
pub fn signed(inbox: &TestInbox, id: &str, body: &str, at: Timestamp) -> Request<axum::body::Body> {
    let signature = standardwebhooks::Webhook::new(SECRET)
        .and_then(|webhook| webhook.sign(id, at.as_second(), body.as_bytes()))
        .expect("a signature");
    Request::builder()
        .method(Method::POST)
        .uri(&inbox.path)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at.as_second())
        .header("webhook-signature", signature)
        .body(body.to_owned().into())
        .expect("a request")
}

async fn answer(router: &Router, request: Request<axum::body::Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("routers do not fail");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

fn address_of(shop: &Sandbox) -> SandboxAddress {
    SandboxAddress {
        url: shop.url().parse().expect("an address"),
        control_url: shop.control_url().parse().expect("an address"),
        control_token: Secret::new(shop.control_token().to_owned()),
    }
}

/// A host without a screen.
struct TestHost;

impl api::host::Host for TestHost {
    fn kind(&self) -> api::host::HostKind {
        api::host::HostKind::Headless
    }

    fn open_url(&self, _: &Url) -> Result<(), api::host::Error> {
        Err(api::host::Error::NoBrowser)
    }

    fn quit(&self) -> Result<(), api::host::Error> {
        Err(api::host::Error::Unsupported)
    }

    fn autostart(&self) -> Option<bool> {
        None
    }

    fn set_autostart(&self, _: bool) -> Result<(), api::host::Error> {
        Err(api::host::Error::Unsupported)
    }
}
