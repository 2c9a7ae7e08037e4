//! A pretend shop and till: OAuth, REST, webhooks and faults over real HTTP on loopback.
//!
//! It lets a person try everything without an account, and it is the stand-in for other people's
//! APIs in the tests. It shares nothing with the rest of Patchbay: whatever passes between the two
//! goes over HTTP, and it signs with the `standardwebhooks` crate, not with our own code. What is
//! sold, when and to whom follows from [`Options::seed`] and the clock; tokens and keys come from
//! the system.
//!
//! # Signing in
//!
//! OAuth 2.0 with PKCE (S256 only) for public clients; any `client_id` is taken, only `http`
//! addresses of this computer are gone back to.
//!
//! - `GET /oauth/authorize?response_type=code&client_id&redirect_uri&state&code_challenge`
//!   `&code_challenge_method=S256&scope` shows the consent page. `POST` to the same address with
//!   the form `decision=allow` or `deny` answers 303 to `redirect_uri` with `code` and `state`, or
//!   with `error=access_denied`.
//! - `POST /oauth/token` (form) takes `grant_type=authorization_code` with `code`, `client_id`,
//!   `redirect_uri`, `code_verifier`, or `refresh_token` with `refresh_token` and `client_id`. A
//!   code is good once and for 60 seconds. Each refresh gives a new refresh token; an old one that
//!   comes again ends the whole sign-in.
//!
//! # Reading
//!
//! All with `Authorization: Bearer …`. Each answer carries `x-ratelimit-limit`, `-remaining` and
//! `-reset` (seconds until all is allowed again); a 429 carries `retry-after` (seconds). Errors are
//! `{"error": {"code", "message"}}`. Times have microseconds; `updated_at` never repeats within the
//! shop, so lists are ordered by it alone.
//!
//! - `GET /api/me` → `{"id", "name", "currency", "time_zone"}`
//! - `GET /api/orders`, `/api/customers`, `/api/stock` `?limit=` (50, at most 250) `&cursor=`
//!   `&updated_since=` (inclusive) → `{"data": […], "next_cursor": string or null, "total"}`. A
//!   cursor remembers its `updated_since`; `total` is that of the first page.
//! - `GET /api/products?limit=&page=&updated_since=` → `{"data", "page", "pages", "total"}`,
//!   ordered by `id`, pages count from 1.
//! - `GET /api/{orders|customers|stock|products}/{id}` → the item; stock also by SKU.
//! - `GET /api/events?since=` (inclusive) `&until=` (exclusive) `&limit=&cursor=` → a list as that
//!   of orders, of `{"id", "type", "timestamp", "data"}`: what webhooks were made, whether or not
//!   anybody asked for them. `id` is their `webhook-id`. The newest 20,000 are kept.
//! - `GET /api/catalogue` → the products, one on each line, with an `etag`; 304 to `if-none-match`.
//! - `GET /api/orders/{id}/lines` → `{"data": [{"line", "sku", …}]}`.
//! - `POST /api/exports {"of": "orders"}` → 201 `{"id", "state": "making"}`; `GET /api/exports/{id}`
//!   → the same, or `{"state": "ready", "urls": […]}`, whose file has an item on each line;
//!   `DELETE` gives it up. Exports do not outlive the shop.
//! - `GET /api/journal`, `/api/journal/{offset}/next` → `{"offset", "url"}` of a file with up to 50
//!   events, one on each line; 204 where there is nothing yet.
//! - `GET /api/webhooks`; `POST {"url", "events": […]}` → 201 `{"id", "url", "events",
//!   "created_at", "secret": "whsec_…"}`; `DELETE /api/webhooks/{id}` → 204.
//!
//! An order: `id` (a number, every seventh beyond 2^53), `number` (`"#1001"`), `created_at`,
//! `updated_at`, `status` (`open`, `paid`, `fulfilled`, `cancelled`, `refunded`), `currency`,
//! `total` (`"19.90"`), `customer` {`id`, `name`, `email`}, `lines` [{`sku`, `title`, `quantity`,
//! `price`}], `ship_to`, `note`. Stock: `id`, `sku`, `title`, `location`, `available`,
//! `updated_at`.
//!
//! # Webhooks
//!
//! Types `order.created`, `order.updated` (data: the order) and `stock.changed` (data: the stock
//! and `delta`). The body is `{"type", "timestamp", "data"}`, with the headers `webhook-id`,
//! `webhook-timestamp` and `webhook-signature` of Standard Webhooks. Orders are made as long as
//! anybody is signed in.
//!
//! # Control
//!
//! On a listener of its own, with a bearer token of its own: `GET /control` → `{"orders",
//! "customers", "products", "orders_per_minute", "faults", "delivered", "failed", "dropped",
//! "requests", "items_per_second"}`; `PATCH /control {"orders_per_minute"?, "items_per_second"?,
//! "faults"?}`, where faults that are left out
//! stay; `POST /control/orders {"count"}` → 202 `{"made"}`; `POST /control/expire-tokens` → 204.

mod catalogue;
mod consent;
mod control;
mod fault;
mod files;
mod form;
mod journal;
mod limit;
mod random;
mod rest;
mod shop;
mod sign_in;
mod token;
mod webhook;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::fault::Faults;
use crate::files::Exports;
use crate::journal::{Earlier, Journal};
use crate::limit::Bucket;
pub use crate::limit::Rate;
use crate::random::Random;
use crate::shop::{Plan, Shop};
use crate::sign_in::Grants;
use crate::webhook::Webhooks;

/// The largest body that is read.
const BODY_LIMIT: usize = 64 * 1024;
/// How long requests that are under way may take when the shop closes.
const CLOSING: Duration = Duration::from_secs(1);

/// Tells the time of day. It is what orders are stamped with and what tokens expire by.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How the shop is.
#[derive(Clone)]
pub struct Options {
    /// What everything that is made up follows from.
    pub seed: u64,
    /// The time of day.
    pub clock: Clock,
    /// How many orders are made by themselves in a minute while anybody is signed in; 0 is none.
    pub orders_per_minute: u32,
    /// How many orders of the last 90 days there are when the shop opens.
    pub history_orders: usize,
    /// How many requests the REST API takes.
    pub rate: Rate,
    /// How many items a list hands out in a second, so that a first sync takes the time that somebody
    /// needs to see it; 0 is at once.
    pub items_per_second: u32,
    /// How long an access token is good.
    pub token_life: SignedDuration,
    /// The waits before a webhook that was not taken is sent again; after the last it is given up.
    pub webhook_retries: Vec<Duration>,
    /// How many deliveries of one webhook are under way at once. One keeps their order.
    pub webhooks_at_once: usize,
    /// What goes wrong on purpose from the start.
    pub faults: Faults,
    /// The file in which the shop writes down what happened, to be the same shop when it opens
    /// again; seed and history are then those of the first opening. Webhooks are not in it: whoever
    /// wants to be told says so again.
    pub journal: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            clock: Arc::new(Timestamp::now),
            orders_per_minute: 12,
            history_orders: 1_200,
            rate: Rate::default(),
            items_per_second: 0,
            token_life: SignedDuration::from_hours(1),
            webhook_retries: [1, 3, 10, 30, 60].map(Duration::from_secs).to_vec(),
            webhooks_at_once: 8,
            faults: Faults::default(),
            journal: None,
        }
    }
}

/// Why the shop could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port could be had.
    #[error("the sandbox could not listen")]
    Listen(#[from] std::io::Error),
    /// What an earlier shop wrote down cannot be read.
    #[error("the sandbox could not open its journal")]
    Journal(#[source] std::io::Error),
    /// Its webhook client could not be made.
    #[error("the sandbox could not prepare its webhooks")]
    Client(#[from] reqwest::Error),
}

/// An open shop. It closes when it is dropped; [`Sandbox::stop`] waits until it has.
pub struct Sandbox {
    shop: SocketAddr,
    control: SocketAddr,
    shared: Shared,
}

impl Sandbox {
    /// Opens a shop on two free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let shop_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let control_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (shop, control) = (shop_listener.local_addr()?, control_listener.local_addr()?);
        let shared = Shared(Arc::new(Inner::new(options)?));

        serve(&shared, shop_listener, shop_routes(&shared));
        serve(&shared, control_listener, control::routes(&shared));
        shared.tasks.spawn(trade(shared.clone()));
        shared.tasks.close();
        tracing::info!(%shop, "the sandbox shop is open");
        Ok(Self { shop, control, shared })
    }

    /// Where the shop is: `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.shop)
    }

    /// Where its control is, likewise.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// What the control asks for as a bearer token.
    pub fn control_token(&self) -> &str {
        &self.shared.control_token
    }

    /// Closes the shop, and waits for what is under way.
    pub async fn stop(self) {
        self.shared.stopping.cancel();
        // A receiver that does not answer must not keep us.
        let _ = tokio::time::timeout(CLOSING, self.shared.tasks.wait()).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

/// What the person at the control can change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) orders_per_minute: u32,
    pub(crate) items_per_second: u32,
    pub(crate) faults: Faults,
}

/// What all parts of the shop share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) shop: Mutex<Shop>,
    pub(crate) grants: Mutex<Grants>,
    journal: Journal,
    pub(crate) bucket: Mutex<Bucket>,
    /// Chance for faults of the REST API.
    pub(crate) chance: Mutex<Random>,
    pub(crate) webhooks: Webhooks,
    pub(crate) exports: Mutex<Exports>,
    /// How many requests the REST API was asked.
    pub(crate) requests: AtomicU64,
    pub(crate) control_token: String,
    key: String,
    /// That somebody signed in, or that the pace changed.
    pub(crate) wake: Notify,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    fn new(options: Options) -> Result<Self, Error> {
        let (journal, earlier) = match &options.journal {
            Some(path) => Journal::open(path).map_err(Error::Journal)?,
            None => (Journal::default(), None),
        };
        let (shop, grants) = match earlier {
            Some(earlier) => open_again(earlier),
            None => (open_first(&options, &journal), Grants::default()),
        };
        Ok(Self {
            settings: Mutex::new(Settings {
                orders_per_minute: options.orders_per_minute,
                items_per_second: options.items_per_second,
                faults: options.faults,
            }),
            shop: Mutex::new(shop),
            grants: Mutex::new(grants),
            journal,
            bucket: Mutex::new(Bucket::new(options.rate)),
            chance: Mutex::new(Random::new(options.seed)),
            webhooks: Webhooks::new()?,
            exports: Mutex::default(),
            requests: AtomicU64::new(0),
            control_token: sign_in::secret("sbx_ctl_"),
            key: sign_in::secret(""),
            wake: Notify::new(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            options,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    pub(crate) fn faults(&self) -> Faults {
        locked(&self.settings).faults
    }

    /// Somebody buys something.
    pub(crate) fn make_order(&self) {
        let mut shop = locked(&self.shop);
        let now = self.now();
        // Written down first: an event that was told must have the same id when the shop opens
        // again.
        self.journal.step(now);
        let events = shop.step(now);
        // Told while the shop is held, so that queues have the order of the events.
        self.webhooks.tell(&events);
    }

    /// Changes what tokens are good, and writes down how they are then.
    pub(crate) fn change_grants<T>(&self, change: impl FnOnce(&mut Grants) -> T) -> T {
        let mut grants = locked(&self.grants);
        let changed = change(&mut grants);
        self.journal.sign_ins(grants.sign_ins());
        changed
    }

    /// The key that signs for a webhook.
    pub(crate) fn signing_key(&self, webhook: &str) -> [u8; 32] {
        Sha256::digest(format!("{}:{webhook}", self.key)).into()
    }
}

fn open_first(options: &Options, journal: &Journal) -> Shop {
    let (seed, opened, history_orders) = (options.seed, (options.clock)(), options.history_orders);
    journal.opened(seed, opened, history_orders);
    Shop::open(Plan { seed, opened, history_orders })
}

fn open_again(earlier: Earlier) -> (Shop, Grants) {
    let Earlier { seed, opened, history_orders, steps, sign_ins } = earlier;
    let mut shop = Shop::open(Plan { seed, opened, history_orders });
    for at in steps {
        shop.step(at);
    }
    (shop, Grants::again(sign_ins))
}

/// A lock that is held even after a panic of somebody else: the shop is only pretended.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shop_routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/oauth/authorize", get(consent::show).post(consent::decide))
        .route("/oauth/token", post(token::token))
        .merge(rest::routes(shared))
}

fn serve(shared: &Shared, listener: TcpListener, routes: Router<Shared>) {
    let routes = routes
        .layer(middleware::from_fn(only_this_computer))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared.clone());
    let stopping = shared.stopping.clone();
    shared.tasks.spawn(async move {
        let serving = axum::serve(listener, routes)
            .with_graceful_shutdown(async move { stopping.cancelled().await });
        if let Err(error) = serving.await {
            tracing::error!(%error, "the sandbox stopped listening");
        }
    });
}

/// Turns away requests for another name than this computer's: a web page that has its own name
/// point here would come with that name.
async fn only_this_computer(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    match name.or(request.uri().host()) {
        Some("127.0.0.1" | "localhost") => next.run(request).await,
        _ => StatusCode::MISDIRECTED_REQUEST.into_response(),
    }
}

/// Makes orders at the pace that is set, while anybody is signed in.
async fn trade(shared: Shared) {
    let stopping = shared.stopping.clone();
    let trading = async {
        loop {
            let changed = shared.wake.notified();
            let pace = locked(&shared.settings).orders_per_minute;
            if pace == 0 || !locked(&shared.grants).anybody() {
                changed.await;
                continue;
            }
            let wait = Duration::from_secs(60) / pace;
            if tokio::time::timeout(wait, changed).await.is_err() {
                shared.make_order();
            }
        }
    };
    stopping.run_until_cancelled(trading).await;
}
