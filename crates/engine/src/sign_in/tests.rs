//! Sign-ins and renewals against a provider of our own, over real HTTP on loopback.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use domain::connection::ConnectionState;
use domain::secret::Secrets;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};

use super::*;
use crate::Config;
use crate::clock::Clock;
use crate::connection::ConnectionRequest;
use crate::data_dir::DataDir;
use crate::tunnel::Environment;
use crate::vault::{Switches, Vault};

const CONNECTOR: &str = "
format: 1
id: test
name: Test shop
status: documented
settings: { url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.url }}'
auth:
  - id: rotating
    oauth_code:
      authorize_url: '{{ settings.url }}/authorize'
      token_url: '{{ settings.url }}/token'
      secret: required
      pkce: beside_secret
      scopes: [read, write]
      scope_separator: ','
      refresh: rotating
      refresh_lives: 30d
      keep: { region: { at: .region, pattern: '[a-z]+' } }
      error_in_200: .problem
  - id: lasting
    oauth_code:
      authorize_url: '{{ settings.url }}/authorize'
      token_url: '{{ settings.url }}/token'
      client_id: ours
      secret: forbidden
      client: form
      pkce: alone
  - id: handed
    key_hand_over:
      open: '{{ settings.url }}/hand-over'
      params: { nonce: '{{ callback.nonce }}' }
      nonce: .nonce
      secrets: { key: .key }
      basic: { user: '{{ secrets.key }}' }
  - id: typed
    device:
      device_url: '{{ settings.url }}/device'
      token_url: '{{ settings.url }}/token'
      client_id: ours
  - id: pasted
    header_token: { header: x-token, prefix: 'Token ', pattern: 'tok_[a-z]+', example: tok_abc }
errors: { code: .error, dead: [token_revoked] }
check: { get: /me, query: { region: \"{{ token.region | default('none') }}\" }, account: .name }
";

const CLIENT_SECRET: &str = "canary-client-secret";

#[derive(Clone)]
struct TestClock(Arc<Mutex<Timestamp>>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl TestClock {
    fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

/// What the provider does with the next requests for tokens.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Fair,
    /// It answers with this status, and has done nothing.
    Status(u16),
    /// It does what it is asked and the answer is lost.
    LosesAnswers,
    /// It says no with status 200.
    RefusesIn200,
    /// It says no, and says the token again that it was given.
    RefusesAloud,
    /// Something before it answers with this status, and with words in JSON.
    Words(u16),
}

#[derive(Default)]
struct Books {
    mood: Mood,
    /// Codes with the challenges and addresses that they were given for.
    codes: HashMap<String, (String, String)>,
    access: HashSet<String>,
    refresh: Option<String>,
    issued: u32,
    forms: Vec<HashMap<String, String>>,
    asked_me: Vec<String>,
    /// What calls carried to be let in.
    shown: Vec<String>,
    /// How calls are answered, whatever they carry.
    answers: Option<StatusCode>,
    /// Tokens that its user takes back here.
    taken_back: Vec<String>,
    /// Tokens that were taken back: calls with them are answered when the gate for those opens.
    revoked: HashSet<String>,
}

/// A provider with one account.
#[derive(Clone)]
struct Provider {
    books: Arc<Mutex<Books>>,
    /// How many requests for tokens have come.
    came: Arc<watch::Sender<u32>>,
    /// One is taken by each request for tokens before it is answered.
    gate: Arc<Semaphore>,
    /// How many calls with a token have come that was taken back.
    late: Arc<watch::Sender<u32>>,
    /// One is taken by each of those before it is answered.
    late_gate: Arc<Semaphore>,
    url: String,
}

impl Provider {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            books: Arc::default(),
            came: Arc::new(watch::Sender::new(0)),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            late: Arc::new(watch::Sender::new(0)),
            late_gate: Arc::new(Semaphore::new(0)),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let routes = Router::new()
            .route("/token", post(token))
            .route("/device", post(device))
            .route("/revoke", post(revoke))
            .route("/me", get(me))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        provider
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// What the user does on the consent page; the address to which the browser is sent.
    fn consent(&self, authorize_url: &Url) -> Url {
        let query: HashMap<_, _> = authorize_url.query_pairs().into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        let mut books = self.books();
        books.issued += 1;
        let code = format!("canary-code-{}", books.issued);
        let bound = (query["code_challenge"].clone(), query["redirect_uri"].clone());
        books.codes.insert(code.clone(), bound);
        landing(&query, &[("code", &code)])
    }

    /// Closes the gate: requests for tokens come and are not answered.
    fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    fn release(&self) {
        self.gate.add_permits(100);
    }

    async fn has_been_asked(&self, times: u32) {
        self.came.subscribe().wait_for(|came| *came >= times).await.unwrap();
    }

    fn revoke_access(&self) {
        self.books().access.clear();
    }
}

fn landing(query: &HashMap<String, String>, pairs: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(&query["redirect_uri"]).unwrap();
    url.query_pairs_mut().extend_pairs(pairs).append_pair("state", &query["state"]);
    url
}

/// A code that nobody types in.
async fn device(State(provider): State<Provider>) -> String {
    json!({
        "device_code": "canary-device",
        "user_code": "ABCD",
        "verification_uri": format!("{}/page", provider.url),
        "interval": 0.01,
    })
    .to_string()
}

async fn revoke(State(provider): State<Provider>, body: Bytes) {
    let form: HashMap<_, _> = url::form_urlencoded::parse(&body).into_owned().collect();
    provider.books().taken_back.push(form["token"].clone());
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["accept"], "application/json");
    let form: HashMap<_, _> = url::form_urlencoded::parse(&body).into_owned().collect();
    provider.books().forms.push(form.clone());
    provider.came.send_modify(|came| *came += 1);
    provider.gate.acquire().await.unwrap().forget();

    let mut books = provider.books();
    let refused =
        || (StatusCode::BAD_REQUEST, r#"{"error": "invalid_grant", "error_description": "spent"}"#);
    match books.mood {
        Mood::Status(status) => {
            return (StatusCode::from_u16(status).unwrap(), "sorry").into_response();
        }
        Mood::Words(status) => {
            let said = r#"{"status": 400, "error": "Bad Request", "message": "No route"}"#;
            return (StatusCode::from_u16(status).unwrap(), said).into_response();
        }
        Mood::RefusesIn200 => return r#"{"problem": "bad_verification_code"}"#.into_response(),
        Mood::RefusesAloud => {
            let said = json!({
                "error": "invalid_grant",
                "error_description": format!("no such token {}", form["refresh_token"]),
            });
            return (StatusCode::BAD_REQUEST, said.to_string()).into_response();
        }
        Mood::Fair | Mood::LosesAnswers => {}
    }
    let good = match form["grant_type"].as_str() {
        "authorization_code" => {
            let verifier = Sha256::digest(form["code_verifier"].as_bytes());
            let challenge =
                base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, verifier);
            books.codes.remove(&form["code"]) == Some((challenge, form["redirect_uri"].clone()))
        }
        "refresh_token" => books.refresh.as_ref() == Some(&form["refresh_token"]),
        "urn:ietf:params:oauth:grant-type:device_code" => {
            let waits = r#"{"error": "authorization_pending"}"#;
            return (StatusCode::BAD_REQUEST, waits).into_response();
        }
        other => panic!("{other}"),
    };
    if !good {
        return refused().into_response();
    }
    books.issued += 1;
    let (access, refresh) =
        (format!("canary-access-{}", books.issued), format!("canary-refresh-{}", books.issued));
    books.access = HashSet::from([access.clone()]);
    books.refresh = Some(refresh.clone());
    if books.mood == Mood::LosesAnswers {
        return (StatusCode::BAD_GATEWAY, "").into_response();
    }
    json!({
        "access_token": access, "refresh_token": refresh, "expires_in": 3600, "region": "eu",
    })
    .to_string()
    .into_response()
}

async fn me(
    State(provider): State<Provider>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let shown = text("authorization").or(text("x-token")).unwrap_or_default().to_owned();
    provider.books().shown.push(shown);
    provider.books().asked_me.push(uri.query().unwrap_or_default().to_owned());
    if bearer.is_some_and(|token| provider.books().revoked.contains(token)) {
        provider.late.send_modify(|late| *late += 1);
        provider.late_gate.acquire().await.unwrap().forget();
        return (StatusCode::FORBIDDEN, r#"{"error": "token_revoked"}"#).into_response();
    }
    let books = provider.books();
    if let Some(status) = books.answers {
        return (status, "{}").into_response();
    }
    let known = bearer.is_some_and(|token| books.access.contains(token))
        || text("x-token") == Some("Token tok_good");
    if known {
        r#"{"name": "Acme"}"#.into_response()
    } else {
        (StatusCode::UNAUTHORIZED, "{}").into_response()
    }
}

/// An engine, the provider that it talks to, and what a test turns.
struct Bench {
    engine: Engine,
    provider: Provider,
    clock: TestClock,
    switches: Switches,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let (vault, switches) = Vault::switchable();
        let folder = tempfile::tempdir().unwrap();
        Self::start_with(vault, switches, folder).await
    }

    async fn start_with(vault: Vault, switches: Switches, folder: tempfile::TempDir) -> Self {
        let provider = Provider::start().await;
        let clock = TestClock(Arc::new(Mutex::new("2026-11-25T10:00:00Z".parse().unwrap())));
        let data = folder.path().join("data");
        write_connector(&data, CONNECTOR);
        let engine = Engine::open(Config {
            data_dir: DataDir::own(&data).unwrap(),
            clock: Arc::new(clock.clone()),
            vault,
            environment: Environment::default(),
            sandbox: None,
        })
        .await
        .unwrap();
        Self { engine, provider, clock, switches, folder }
    }

    fn request(&self, way: &str) -> ConnectionRequest {
        ConnectionRequest {
            connector: "test".into(),
            name: String::new(),
            way: Some(way.into()),
            settings: [("url".into(), self.provider.url.clone())].into(),
            secrets: Secrets::new(),
        }
    }

    /// A connection by the way that rotates, not signed in.
    async fn connection(&self) -> ConnectionId {
        let mut request = self.request("rotating");
        request.settings.insert("client_id".into(), "mine".into());
        request.secrets.set("client_secret", Secret::new(CLIENT_SECRET.into()));
        self.engine.create_connection(request).await.unwrap().connection.id
    }

    /// The same, signed in.
    async fn signed_in(&self) -> ConnectionId {
        let id = self.connection().await;
        self.sign_in(id).await;
        id
    }

    /// A connection by the way that is pasted, with a token that works.
    async fn pasted(&self) -> ConnectionId {
        let mut request = self.request("pasted");
        request.secrets.set("token", Secret::new("tok_good".into()));
        self.engine.create_connection(request).await.unwrap().connection.id
    }

    /// Changes the connector, as its author does, and waits until that was noticed.
    async fn rewrite_connector(&self, text: &str) {
        write_connector(&self.folder.path().join("data"), text);
        let connectors = self.engine.connectors().clone();
        tokio::task::spawn_blocking(move || while !connectors.refresh() {}).await.unwrap();
        self.engine.connectors().listed("test").unwrap().connector.unwrap();
    }

    async fn sign_in(&self, id: ConnectionId) {
        let authorize = self.engine.authorize(id).await.unwrap();
        let landed = self.provider.consent(&authorize.authorize_url);
        self.engine.complete_sign_in(&landed).await.unwrap();
    }

    /// Another provider, whose tokens are not those of this one.
    async fn other_provider(&self) -> Provider {
        let other = Provider::start().await;
        other.books().issued = 100;
        other
    }

    /// Changes the settings to lead to `other`, and gives the secrets for it.
    async fn move_to(&self, id: ConnectionId, other: &str, given: &[(&str, &str)]) {
        let settings = [("url".to_owned(), other.to_owned())].into();
        let mut secrets = Secrets::new();
        for (name, value) in given {
            secrets.set(*name, Secret::new((*value).into()));
        }
        self.engine.update_connection(id, None, Some(settings), secrets).await.unwrap();
    }

    /// Lets the time go by in which a renewal that failed is not tried again.
    async fn pause_is_over(&self) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::time::resume();
    }

    async fn row(&self, id: ConnectionId) -> Connection {
        self.engine.connection(id).await.unwrap().connection
    }

    async fn secrets(&self, id: ConnectionId) -> Secrets {
        self.engine.secrets_of(&self.row(id).await).await.unwrap()
    }

    /// Why the connection needs a sign-in.
    async fn why(&self, id: ConnectionId) -> String {
        match self.row(id).await.connection.state {
            ConnectionState::NeedsSignIn { why, .. } => why,
            state => panic!("{state:?}"),
        }
    }

    async fn call(&self, id: ConnectionId) -> Result<(), connection::Error> {
        self.engine.check_connection(id).await.map(drop)
    }

    /// As after a restart: nothing is in memory.
    async fn forget(&self, id: ConnectionId) {
        self.engine.inner.sign_ins.forget(id).await;
    }

    fn forms(&self) -> usize {
        self.provider.books().forms.len()
    }
}

fn write_connector(data: &Path, text: &str) {
    let folder = data.join("connectors/test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("connector.yaml"), text).unwrap();
}

/// What a browser finds at an address, and its headers.
async fn browse(url: &Url) -> (StatusCode, HeaderMap, String) {
    let answer = reqwest::get(url.clone()).await.unwrap();
    (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
}

/// Waits until nothing listens at an address any more.
async fn is_closed(url: &Url) {
    let port = url.port().unwrap();
    let closed = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
}

fn with(url: &Url, name: &str, value: &str) -> Url {
    let mut other = url.clone();
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    other.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
    other
}

#[tokio::test]
async fn a_browser_that_comes_back_is_told_that_it_is_signed_in_and_the_port_closes() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    assert_eq!(bench.why(id).await, "It has not been signed in yet.");
    let authorize = bench.engine.authorize(id).await.unwrap();
    assert!(bench.engine.inner.sign_ins.waits(id));
    // Its browser comes back to a listener of its own: no door opens for strangers.
    assert!(!bench.engine.sign_in_waits());
    assert!(bench.engine.connection(id).await.unwrap().signing_in);
    let scope = authorize.authorize_url.query_pairs().find(|(name, _)| name == "scope").unwrap();
    assert_eq!(scope.1, "read,write");

    let landed = bench.provider.consent(&authorize.authorize_url);
    let (status, headers, page) = browse(&landed).await;

    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("Signed in") && page.contains("Test shop is connected"), "{page}");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    is_closed(&landed).await;
    assert!(!bench.engine.inner.sign_ins.waits(id));
    let row = bench.row(id).await;
    assert_eq!(row.connection.state, ConnectionState::Ready);
    assert_eq!(row.account.as_deref(), Some("Acme"));
    assert_eq!(row.token_expires_at, Some("2026-11-25T11:00:00Z".parse().unwrap()));
    let form = bench.provider.books().forms[0].clone();
    assert_eq!(form["client_id"], "mine");
    assert_eq!(form["client_secret"], CLIENT_SECRET);
    let secrets = bench.secrets(id).await;
    assert_eq!(secrets.get("access_token"), Some(&Secret::new("canary-access-2".into())));
    assert_eq!(secrets.get("client_secret"), Some(&Secret::new(CLIENT_SECRET.into())));
    assert_eq!(bench.provider.books().asked_me, ["region=eu"]);
}

#[tokio::test]
async fn an_answer_with_another_state_changes_nothing() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);

    for forged in [with(&landed, "state", "guess"), with(&landed, "state", "")] {
        let (status, _, page) = browse(&forged).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(page.contains("Nothing was changed"), "{page}");
    }
    let mut stateless = landed.clone();
    stateless.set_query(Some("code=x"));
    let outcome = bench.engine.complete_sign_in(&stateless).await;
    assert!(matches!(outcome, Err(Error::State)));
    let mut elsewhere = landed.clone();
    elsewhere.set_path("/other");
    assert_eq!(browse(&elsewhere).await.0, StatusCode::NOT_FOUND);
    assert_eq!(bench.forms(), 0);

    assert_eq!(browse(&landed).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_is_good_once() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let first = tokio::spawn({
        let landed = landed.clone();
        async move { engine.complete_sign_in(&landed).await }
    });
    bench.provider.has_been_asked(1).await;

    let (status, _, page) = browse(&landed).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(page.contains("Already used"), "{page}");
    bench.provider.release();
    first.await.unwrap().unwrap();
    let outcome = bench.engine.complete_sign_in(&landed).await;
    assert!(matches!(outcome, Err(Error::NotWaiting)));

    // While another waits, the old one is still told from a stranger's.
    bench.engine.authorize(id).await.unwrap();
    let outcome = bench.engine.complete_sign_in(&landed).await;
    assert!(matches!(outcome, Err(Error::NotWaiting)));
    assert_eq!(bench.forms(), 1);
}

#[tokio::test]
async fn consent_that_is_denied_ends_the_sign_in_with_a_sentence() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let query: HashMap<_, _> = authorize.authorize_url.query_pairs().into_owned().collect();
    let landed = landing(&query, &[("error", "access_denied")]);

    let (status, _, page) = browse(&landed).await;

    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("access was not allowed"), "{page}");
    is_closed(&landed).await;
    let told = "Access was not allowed on its page. Sign in again, and allow what is asked for.";
    assert_eq!(bench.why(id).await, told);

    let authorize = bench.engine.authorize(id).await.unwrap();
    let query: HashMap<_, _> = authorize.authorize_url.query_pairs().into_owned().collect();
    let said = [("error", "invalid_scope"), ("error_description", "<b>no</b> such\u{1b}[31m")];
    let (_, _, page) = browse(&landing(&query, &said)).await;
    assert!(page.contains("&lt;b&gt;no&lt;/b&gt; such"), "{page}");
    assert!(!page.contains('\u{1b}'));
}

#[tokio::test]
async fn a_newer_sign_in_ends_the_older_one() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let older = bench.engine.authorize(id).await.unwrap();
    let newer = bench.engine.authorize(id).await.unwrap();

    let landed = bench.provider.consent(&older.authorize_url);
    is_closed(&landed).await;
    let outcome = bench.engine.complete_sign_in(&landed).await;
    assert!(matches!(outcome, Err(Error::State)));

    let landed = bench.provider.consent(&newer.authorize_url);
    assert_eq!(browse(&landed).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_waits_for_ten_minutes() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    assert_eq!(authorize.expires_at, bench.clock.now() + SignedDuration::from_mins(10));

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(bench.engine.inner.sign_ins.waits(id));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!bench.engine.inner.sign_ins.waits(id));
    tokio::time::resume();

    is_closed(&landed).await;
    let outcome = bench.engine.complete_sign_in(&landed).await;
    assert!(matches!(outcome, Err(Error::NotWaiting)));
    let told = bench.why(id).await;
    assert!(told.starts_with("Nobody came back from the provider's page"), "{told}");
}

struct NoIngress;

impl crate::tunnel::ServeIngress for NoIngress {
    fn serve(
        &self,
        _: Engine,
        _: tokio::net::TcpListener,
        _: Option<http::HeaderName>,
        stop: CancellationToken,
    ) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(stop.cancelled_owned())
    }
}

#[tokio::test]
async fn keys_are_waited_for_ten_minutes() {
    let bench = Bench::start().await;
    let ingress = "http://127.0.0.1:1".parse().unwrap();
    bench.engine.start(ingress, Arc::new(NoIngress)).await;
    let tunnel = crate::tunnel::TunnelRequest {
        kind: "own-url".into(),
        name: String::new(),
        settings: [("public_url".into(), "https://hooks.example".into())].into(),
        secrets: Secrets::new(),
    };
    let tunnel = bench.engine.create_tunnel(tunnel).await.unwrap().tunnel.id;
    bench.engine.start_tunnel(tunnel).await.unwrap();
    let id = bench.engine.create_connection(bench.request("handed")).await.unwrap().connection.id;
    let mut changes = bench.engine.changes().watch(None);
    let authorize = loop {
        match bench.engine.authorize(id).await {
            // The tunnel has not told its address yet.
            Err(Error::NoKeyAddress) => _ = futures::StreamExt::next(&mut changes).await,
            authorize => break authorize.unwrap(),
        }
    };
    let nonce = authorize.authorize_url.query_pairs().next().unwrap().1.into_owned();
    let keys = json!({ "nonce": nonce, "key": "k" }).to_string();

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(bench.engine.keys_are_awaited());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!bench.engine.keys_are_awaited());
    tokio::time::resume();

    assert!(bench.engine.take_keys(keys.as_bytes()).await.is_none());
    while !bench.why(id).await.starts_with("No keys came within ten minutes.") {
        futures::StreamExt::next(&mut changes).await.unwrap();
    }
}

#[tokio::test]
async fn a_code_that_is_refused_is_a_denial_whatever_the_status() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    for (mood, denied) in [(Mood::RefusesIn200, true), (Mood::Status(503), false)] {
        bench.provider.books().mood = mood;
        let authorize = bench.engine.authorize(id).await.unwrap();
        let landed = bench.provider.consent(&authorize.authorize_url);

        let error = bench.engine.complete_sign_in(&landed).await.unwrap_err();

        assert_eq!(matches!(error, Error::Denied(_)), denied, "{error}");
        assert!(!bench.engine.inner.sign_ins.waits(id));
    }
    // A verifier that is not the challenge's.
    bench.provider.books().mood = Mood::Fair;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    for bound in bench.provider.books().codes.values_mut() {
        bound.0 = "another".into();
    }
    let outcome = bench.engine.complete_sign_in(&landed).await;
    assert!(matches!(outcome, Err(Error::Denied(_))));
}

#[tokio::test]
async fn nobody_is_sent_to_a_consent_page_whose_answer_could_not_be_kept() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    bench.switches.lock(true);

    let outcome = bench.engine.authorize(id).await;
    assert!(matches!(outcome, Err(Error::Vault(vault::Error::Locked))));
    let outcome = bench.engine.create_connection(bench.request("lasting")).await;
    assert!(matches!(outcome, Err(connection::Error::Vault(vault::Error::Locked))));
    assert_eq!(bench.engine.connections().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_once_before_its_end_for_all_who_call() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(2_000);
    bench.call(id).await.unwrap();
    assert_eq!(bench.forms(), 1, "a third of its life is left");

    bench.clock.advance(1_000);
    let calls = (0..8).map(|_| bench.call(id));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }

    assert_eq!(bench.forms(), 2);
    let form = bench.provider.books().forms[1].clone();
    assert_eq!(form["refresh_token"], "canary-refresh-2");
    let row = bench.row(id).await;
    assert_eq!(row.rotating_since, None);
    assert_eq!(row.token_expires_at, Some("2026-11-25T11:50:00Z".parse().unwrap()));
    let secrets = bench.secrets(id).await;
    assert_eq!(secrets.get("refresh_token"), Some(&Secret::new("canary-refresh-3".into())));
    let old = row.secrets.unwrap() - 1;
    let read = bench.engine.inner.vault.read(&id.to_string(), old).await;
    assert!(matches!(read, Err(vault::Error::NotFound)));
}

#[tokio::test]
async fn a_sign_in_that_nothing_uses_says_before_that_it_will_end() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let ends = async || {
        bench.engine.connection(id).await.unwrap().sign_in_ends_at.map(|end| end.to_string())
    };
    assert_eq!(ends().await, None, "not soon");

    bench.clock.advance(17 * 24 * 3_600);
    assert_eq!(ends().await.as_deref(), Some("2026-12-25T10:00:00Z"));

    bench.call(id).await.unwrap();
    assert_eq!(ends().await, None, "it was used");
    let row = bench.row(id).await;
    assert_eq!(row.sign_in_ends_at, Some("2027-01-11T10:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_and_the_calls_are_repeated() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.provider.revoke_access();

    let calls = (0..4).map(|_| bench.call(id));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }

    assert_eq!(bench.forms(), 2);
}

#[tokio::test]
async fn an_intent_is_written_before_a_token_is_spent() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_500);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let caller = tokio::spawn(async move { engine.check_connection(id).await });
    bench.provider.has_been_asked(2).await;
    assert_eq!(bench.row(id).await.rotating_since, Some(bench.clock.now()));

    // Whoever asked goes away; what was begun is finished.
    caller.abort();
    bench.provider.release();
    bench.call(id).await.unwrap();

    assert_eq!(bench.row(id).await.rotating_since, None);
    assert_eq!(bench.forms(), 2);
    let secrets = bench.secrets(id).await;
    assert_eq!(secrets.get("refresh_token"), Some(&Secret::new("canary-refresh-3".into())));
}

#[tokio::test]
async fn after_a_lost_answer_the_old_token_is_tried_once_and_may_still_be_good() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.engine.inner.store.begin_rotation(id, bench.clock.now()).await.unwrap();
    bench.forget(id).await;

    bench.call(id).await.unwrap();

    assert_eq!(bench.forms(), 2);
    assert_eq!(bench.row(id).await.rotating_since, None);
    bench.call(id).await.unwrap();
    assert_eq!(bench.forms(), 2);
}

#[tokio::test]
async fn after_a_lost_answer_a_refusal_says_exactly_that_and_is_not_tried_again() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    // As if we had died with the answer on its way.
    bench.engine.inner.store.begin_rotation(id, bench.clock.now()).await.unwrap();
    bench.provider.books().refresh = Some("one that never arrived".into());
    bench.forget(id).await;

    assert!(bench.call(id).await.is_err());

    let why = bench.why(id).await;
    assert!(why.starts_with("The answer to the last renewal of the sign-in was lost"), "{why}");
    assert!(why.contains("spent (invalid_grant)"), "{why}");
    assert!(bench.call(id).await.is_err());
    assert_eq!(bench.forms(), 2);
    assert_eq!(bench.row(id).await.rotating_since, None);

    bench.sign_in(id).await;
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);
    bench.call(id).await.unwrap();
}

#[tokio::test]
async fn tokens_that_reached_the_vault_before_everything_stopped_are_used() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let before = bench.row(id).await;
    bench.clock.advance(3600);
    bench.call(id).await.unwrap();
    let renewed = bench.secrets(id).await;
    let after = bench.row(id).await;
    // The same as it is where all stops between the vault and the row.
    bench.engine.inner.store.begin_rotation(id, bench.engine.now()).await.unwrap();
    let mut spent = renewed.clone();
    spent.set("refresh_token", Secret::new("canary-refresh-2".into()));
    spent.set("access_token", Secret::new("canary-access-2".into()));
    let (owner, now) = (id.to_string(), after.secrets.unwrap());
    assert_eq!(now, before.secrets.unwrap() + 1);
    bench.engine.inner.vault.write(&owner, now, &spent).await.unwrap();
    bench.engine.inner.vault.write(&owner, now + 1, &renewed).await.unwrap();
    bench.forget(id).await;
    let asked = bench.forms();

    bench.call(id).await.unwrap();

    assert_eq!(bench.forms(), asked, "nothing was spent");
    let row = bench.row(id).await;
    assert_eq!((row.secrets, row.rotating_since), (Some(now + 1), None));
    assert_eq!(row.token_expires_at, after.token_expires_at);
    assert_eq!(bench.secrets(id).await, renewed);
    assert_eq!(bench.switches.kept(), 1);
}

#[tokio::test]
async fn what_a_change_of_the_user_left_in_the_vault_is_not_taken_for_new_tokens() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let (owner, now) = (id.to_string(), bench.row(id).await.secrets.unwrap());
    let mut changed = bench.secrets(id).await;
    changed.set("client_secret", Secret::new("canary-other".into()));
    bench.engine.inner.vault.write(&owner, now + 1, &changed).await.unwrap();
    bench.engine.inner.store.begin_rotation(id, bench.engine.now()).await.unwrap();
    bench.forget(id).await;

    bench.call(id).await.unwrap();

    assert_eq!(bench.provider.books().forms.last().unwrap()["client_secret"], CLIENT_SECRET);
}

#[tokio::test]
async fn an_answer_that_is_lost_on_its_way_is_told_from_an_ended_sign_in() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_700);
    bench.provider.books().mood = Mood::LosesAnswers;

    assert!(bench.call(id).await.is_err());
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);
    assert_eq!(bench.row(id).await.rotating_since, Some(bench.clock.now()));
    bench.provider.books().mood = Mood::Fair;
    bench.pause_is_over().await;
    assert!(bench.call(id).await.is_err());

    assert!(bench.why(id).await.contains("was lost"));
}

#[tokio::test]
async fn a_network_that_fails_is_no_reason_to_sign_in_again() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.provider.books().mood = Mood::Status(500);

    bench.clock.advance(3_300);
    bench.call(id).await.unwrap();
    bench.call(id).await.unwrap();
    assert_eq!(bench.forms(), 2, "while the old token lives, it is not tried at every call");
    bench.clock.advance(400);
    assert!(bench.call(id).await.is_err());
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);

    bench.provider.books().mood = Mood::Fair;
    bench.pause_is_over().await;
    bench.call(id).await.unwrap();
}

#[tokio::test]
async fn calls_that_follow_a_renewal_that_failed_are_told_the_same_for_a_while() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_700);
    bench.provider.books().mood = Mood::Status(500);

    let calls = (0..50).map(|_| bench.call(id));
    for outcome in futures::future::join_all(calls).await {
        let told = outcome.unwrap_err().to_string();
        assert!(told.contains("127.0.0.1 answered 500"), "{told}");
    }
    assert_eq!(bench.forms(), 2);

    bench.pause_is_over().await;
    assert!(bench.call(id).await.is_err());
    assert_eq!(bench.forms(), 3);
    bench.provider.books().mood = Mood::Fair;
    bench.pause_is_over().await;
    bench.call(id).await.unwrap();
}

#[tokio::test]
async fn a_refusal_in_no_word_of_oauth_is_no_reason_to_sign_in_again() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_700);

    for mood in
        [400, 401].into_iter().flat_map(|status| [Mood::Status(status), Mood::Words(status)])
    {
        bench.provider.books().mood = mood;
        let asked = bench.forms();
        assert!(bench.call(id).await.is_err());
        assert_eq!(bench.forms(), asked + 1);
        assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);
        bench.pause_is_over().await;
    }

    bench.provider.books().mood = Mood::Fair;
    bench.call(id).await.unwrap();
}

#[tokio::test]
async fn a_late_refusal_of_an_old_token_does_not_end_a_newer_sign_in() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let take_back = async || {
        let token = bench.secrets(id).await.get("access_token").unwrap().expose().to_owned();
        bench.provider.books().revoked.insert(token);
    };
    take_back().await;
    let engine = bench.engine.clone();
    let caller = tokio::spawn(async move { engine.check_connection(id).await });
    bench.provider.late.subscribe().wait_for(|late| *late == 1).await.unwrap();

    bench.sign_in(id).await;
    bench.provider.late_gate.add_permits(1);

    // It is called again with what the user has just brought.
    caller.await.unwrap().unwrap();
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);

    // The same word about the token in force ends the sign-in.
    take_back().await;
    bench.provider.late_gate.add_permits(1);
    assert!(bench.call(id).await.is_err());
    let why = bench.why(id).await;
    assert!(why.contains("says that the sign-in is over"), "{why}");
}

#[tokio::test]
async fn what_a_provider_says_again_of_a_token_is_shown_to_nobody() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_700);
    bench.provider.books().mood = Mood::RefusesAloud;

    let error = bench.call(id).await.unwrap_err();

    let why = bench.why(id).await;
    assert_eq!(error.to_string(), format!("the check did not succeed: {why}"));
    assert!(why.contains("no such token [secret:refresh_token] (invalid_grant)"), "{why}");
}

#[tokio::test]
async fn tokens_that_the_vault_does_not_take_wait_for_it() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_500);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let caller = tokio::spawn(async move { engine.check_connection(id).await });
    bench.provider.has_been_asked(2).await;
    bench.switches.lock(true);
    bench.provider.release();

    caller.await.unwrap().unwrap();
    bench.call(id).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!(row.connection.state, ConnectionState::Ready);
    assert!(row.rotating_since.is_some(), "should we die now, the answer is lost");

    bench.switches.lock(false);
    bench.call(id).await.unwrap();
    assert_eq!(bench.forms(), 2);
    assert_eq!(bench.row(id).await.rotating_since, None);
    let secrets = bench.secrets(id).await;
    assert_eq!(secrets.get("refresh_token"), Some(&Secret::new("canary-refresh-3".into())));
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_renewed_ends_when_it_is_refused() {
    let bench = Bench::start().await;
    let id = bench.engine.create_connection(bench.request("lasting")).await.unwrap().connection.id;
    bench.sign_in(id).await;
    let form = bench.provider.books().forms[0].clone();
    assert_eq!(form["client_id"], "ours");
    assert!(!form.contains_key("client_secret"));
    assert_eq!(bench.secrets(id).await.get("refresh_token"), None);
    bench.call(id).await.unwrap();

    bench.provider.revoke_access();
    assert!(bench.call(id).await.is_err());

    assert!(bench.why(id).await.contains("cannot be renewed"));
    assert_eq!(bench.forms(), 1);
}

#[tokio::test]
async fn a_pasted_token_is_tried_at_once_and_can_be_entered_again() {
    let bench = Bench::start().await;
    let mut request = bench.request("pasted");
    request.secrets.set("token", Secret::new("tok_bad".into()));
    let id = bench.engine.create_connection(request).await.unwrap().connection.id;
    assert!(bench.why(id).await.contains("does not accept the token"));

    let mut secrets = Secrets::new();
    secrets.set("token", Secret::new(" tok_good\n".into()));
    let status = bench.engine.update_connection(id, None, None, secrets).await.unwrap();

    assert_eq!(status.connection.connection.state, ConnectionState::Ready);
    assert_eq!(status.connection.account.as_deref(), Some("Acme"));
    let outcome = bench.engine.authorize(id).await;
    assert!(matches!(outcome, Err(Error::NotNeeded)));
}

#[tokio::test]
async fn secrets_that_are_gone_from_the_vault_are_asked_for_again() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let generation = bench.row(id).await.secrets.unwrap();
    bench.engine.inner.vault.remove(&id.to_string(), generation).await.unwrap();
    bench.forget(id).await;

    assert!(bench.call(id).await.is_err());

    assert!(bench.why(id).await.contains("no longer in the vault"));
}

#[tokio::test]
async fn secrets_that_are_lost_are_entered_again_and_signed_in_with_again() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.switches.lose();
    bench.forget(id).await;
    assert!(bench.call(id).await.is_err());

    let mut secrets = Secrets::new();
    secrets.set("client_secret", Secret::new(CLIENT_SECRET.into()));
    bench.engine.update_connection(id, None, None, secrets).await.unwrap();
    bench.sign_in(id).await;

    bench.call(id).await.unwrap();
}

#[tokio::test]
async fn fields_are_checked_before_anything_is_stored() {
    let bench = Bench::start().await;
    let problem = |change: fn(&mut ConnectionRequest)| {
        let mut request = bench.request("pasted");
        request.secrets.set("token", Secret::new("tok_good".into()));
        change(&mut request);
        let engine = &bench.engine;
        async move { engine.create_connection(request).await.unwrap_err().to_string() }
    };

    let missing = problem(|it| it.settings.clear()).await;
    let shape = problem(|it| _ = it.settings.insert("url".into(), "http://evil/".into())).await;
    let unknown = problem(|it| _ = it.settings.insert("urk".into(), "x".into())).await;
    let misplaced = problem(|it| _ = it.settings.insert("token".into(), "tok_x".into())).await;
    let token = problem(|it| it.secrets.set("token", Secret::new("secret-shape".into()))).await;
    let way = problem(|it| it.way = Some("other".into())).await;
    let connector = problem(|it| it.connector = "any".into()).await;

    assert_eq!(missing, "`url` is missing");
    assert!(shape.starts_with("`url` does not match"), "{shape}");
    assert_eq!(unknown, "`urk` is not one of `url`");
    assert_eq!(misplaced, "`token` is a secret, and belongs among the secrets");
    assert_eq!(token, "`token` does not look like `tok_abc`");
    assert_eq!(way, "`way` is not one of `rotating`, `lasting`, `handed`, `typed`, `pasted`");
    assert_eq!(connector, "`any` is not a connector that can be connected");
    assert!(bench.engine.connections().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_given_for_one_host_is_sent_to_no_other() {
    let anywhere = CONNECTOR.replace("127[.]0[.]0[.]1:", "127[.]0[.]0[.][0-9]:");
    for way in ["rotating", "pasted"] {
        let bench = Bench::start().await;
        bench.rewrite_connector(&anywhere).await;
        let id = if way == "pasted" { bench.pasted().await } else { bench.signed_in().await };
        let port = Url::parse(&bench.provider.url).unwrap().port().unwrap();
        let elsewhere = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        let engine = &bench.engine;
        let move_to = async |host: &str| {
            let settings = [("url".to_owned(), format!("http://{host}:{port}"))].into();
            engine.update_connection(id, None, Some(settings), Secrets::new()).await.unwrap()
        };

        let same = move_to("127.0.0.1").await;
        assert_eq!(same.connection.connection.state, ConnectionState::Ready);

        move_to("127.0.0.2").await;
        assert!(bench.why(id).await.starts_with("Its settings lead to another host."), "{way}");
        assert!(bench.call(id).await.is_err());

        engine.switch_connection(id, false).await.unwrap();
        move_to("127.0.0.1").await;
        move_to("127.0.0.2").await;
        engine.switch_connection(id, true).await.unwrap();
        assert!(bench.call(id).await.is_err());
        if way == "rotating" {
            let outcome = engine.authorize(id).await;
            assert!(matches!(outcome, Err(Error::Connection(connection::Error::Field { .. }))));
        }
        engine.delete_connection(id).await.unwrap();

        let came = elsewhere.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(came, Err(std::io::ErrorKind::WouldBlock), "{way}");
    }
}

#[tokio::test]
async fn a_call_that_began_before_the_settings_changed_is_not_repeated_with_what_was_given_then() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let token = bench.secrets(id).await.get("access_token").unwrap().expose().to_owned();
    bench.provider.books().revoked.insert(token.clone());
    let engine = bench.engine.clone();
    let caller = tokio::spawn(async move { engine.check_connection(id).await });
    bench.provider.late.subscribe().wait_for(|late| *late == 1).await.unwrap();

    let other = bench.other_provider().await;
    bench.move_to(id, &other.url, &[("client_secret", CLIENT_SECRET)]).await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = other.consent(&authorize.authorize_url);
    bench.engine.complete_sign_in(&landed).await.unwrap();
    bench.provider.late_gate.add_permits(1);

    let outcome = caller.await.unwrap();
    assert!(matches!(outcome, Err(connection::Error::Check(outgoing::Error::Moved))));
    let old = format!("Bearer {token}");
    assert!(bench.provider.books().shown.iter().all(|shown| *shown == old));
    // What the old one says ends nothing of the new.
    let row = bench.row(id).await;
    assert_eq!((row.connection.state, row.fault), (ConnectionState::Ready, None));
    bench.call(id).await.unwrap();
    assert!(other.books().shown.iter().all(|shown| *shown == "Bearer canary-access-102"));
}

#[tokio::test]
async fn a_token_for_two_hosts_is_refused_by_each_for_itself() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let old = bench.row(id).await;
    let credential = bench.engine.credential(&old).await.unwrap();
    let other = bench.other_provider().await;
    let token = credential.secrets.get("access_token").unwrap().clone();
    bench.move_to(id, &other.url, &[("client_secret", CLIENT_SECRET)]).await;
    let mut same = bench.secrets(id).await;
    same.set("access_token", token);
    let row = bench.row(id).await;
    bench.engine.keep_secrets(&row, &same, None).await.unwrap();
    bench.engine.connection_ready(id).await.unwrap();

    let in_force = bench.engine.end_sign_in(&old, &credential, "Over.".into()).await.unwrap();

    assert_ne!(in_force.given_to, credential.given_to);
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);
}

#[tokio::test]
async fn tokens_that_come_after_the_settings_changed_are_not_kept() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let sign_in = tokio::spawn(async move { engine.complete_sign_in(&landed).await });
    bench.provider.has_been_asked(1).await;

    let other = bench.other_provider().await;
    bench.move_to(id, &other.url, &[("client_secret", CLIENT_SECRET)]).await;
    bench.provider.release();

    let outcome = sign_in.await.unwrap();
    assert!(matches!(outcome, Err(Error::Exchange(outgoing::Error::Moved))));
    let why = bench.why(id).await;
    assert!(why.contains("the settings lead to another host by now"), "{why}");
    assert_eq!(bench.secrets(id).await.get("access_token"), None);
    assert!(other.books().shown.is_empty());
}

#[tokio::test]
async fn settings_that_lead_elsewhere_end_a_sign_in_that_waits() {
    let bench = Bench::start().await;
    let other = bench.other_provider().await;
    for way in ["lasting", "typed"] {
        let request = bench.request(way);
        let id = bench.engine.create_connection(request).await.unwrap().connection.id;
        let asked = *bench.provider.came.borrow();
        let authorize = bench.engine.authorize(id).await.unwrap();
        if way == "typed" {
            bench.provider.has_been_asked(asked + 1).await;
        }

        // A name is no reason.
        let name = Some("Other".into());
        bench.engine.update_connection(id, name, None, Secrets::new()).await.unwrap();
        assert!(bench.engine.inner.sign_ins.waits(id), "{way}");
        bench.move_to(id, &other.url, &[]).await;

        assert!(!bench.engine.inner.sign_ins.waits(id), "{way}");
        // Whoever asks whether a code was typed in may have found out first, and says so in its turn.
        let told = async {
            while !bench.why(id).await.contains("the settings lead to another host by now") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
        if way == "lasting" {
            let landed = bench.provider.consent(&authorize.authorize_url);
            let outcome = bench.engine.complete_sign_in(&landed).await;
            assert!(matches!(outcome, Err(Error::NotWaiting)));
        }
    }
    assert!(other.books().forms.is_empty());
}

#[tokio::test]
async fn a_code_that_was_asked_for_earlier_ends_no_later_sign_in() {
    let bench = Bench::start().await;
    let request = bench.request("typed");
    let id = bench.engine.create_connection(request).await.unwrap().connection.id;
    bench.engine.authorize(id).await.unwrap();
    bench.engine.authorize(id).await.unwrap();

    let sign_ins = &bench.engine.inner.sign_ins;
    assert!(!sign_ins.end_attempt(id, 1), "another has taken its place");
    assert!(sign_ins.waits(id));
    assert!(sign_ins.end_attempt(id, 2));
    assert!(!sign_ins.waits(id));
    assert!(sign_ins.end_attempt(id, 2), "one whose time is over leaves none behind");
}

#[tokio::test]
async fn what_was_given_for_an_address_goes_to_no_other_port_and_not_without_encryption() {
    let bench = Bench::start().await;
    bench.rewrite_connector(&CONNECTOR.replace("'^http:", "'^https?:")).await;
    let other = bench.other_provider().await;
    let (here, plain) = (bench.provider.url.clone(), other.url.clone());
    let encrypted = here.replace("http:", "https:");

    for elsewhere in [&plain, &encrypted] {
        let id = bench.pasted().await;
        bench.move_to(id, elsewhere, &[]).await;
        assert!(bench.why(id).await.starts_with("Its settings lead to another host."));
        assert!(bench.call(id).await.is_err());
        bench.move_to(id, elsewhere, &[("token", "tok_good")]).await;
        let given_to = bench.row(id).await.connection.given_to.unwrap();
        assert!(given_to.contains(elsewhere) && !given_to.contains(&here), "{given_to:?}");
    }
    assert_eq!(other.books().shown, ["Token tok_good"], "it was given for that one in the end");
}

#[tokio::test]
async fn what_an_older_version_noted_is_good_for_the_address_that_it_has_today() {
    let bench = Bench::start().await;
    let other = bench.other_provider().await;
    let hosts = std::collections::BTreeSet::from(["127.0.0.1".to_owned()]);
    for is_called in [true, false] {
        let id = bench.pasted().await;
        let store = &bench.engine.inner.store;
        store.set_connection_given_to(id, hosts.clone()).await.unwrap();
        bench.forget(id).await;

        if is_called {
            bench.call(id).await.unwrap();
            let given_to = bench.row(id).await.connection.given_to.unwrap();
            assert!(given_to.contains(&bench.provider.url), "{given_to:?}");
        }
        bench.move_to(id, &other.url, &[]).await;
        assert!(bench.why(id).await.starts_with("Its settings lead to another host."));
    }
    assert!(other.books().shown.is_empty());
}

#[tokio::test]
async fn what_is_given_for_another_host_is_given_whole() {
    let bench = Bench::start().await;
    let way = "  - id: pair
    fields: { user: { title: User, secret: true }, pass: { title: Pass, secret: true } }
    basic: { user: '{{ secrets.user }}', pass: '{{ secrets.pass }}' }
";
    let text = CONNECTOR.replace("127[.]0[.]0[.]1:", "127[.]0[.]0[.][0-9]:");
    bench.rewrite_connector(&text.replace("errors:", &format!("{way}errors:"))).await;
    let mut request = bench.request("pair");
    for name in ["user", "pass"] {
        request.secrets.set(name, Secret::new("old".into()));
    }
    let id = bench.engine.create_connection(request).await.unwrap().connection.id;
    let settings = [("url".to_owned(), "http://127.0.0.2:1".to_owned())];
    let mut secrets = Secrets::new();
    secrets.set("user", Secret::new("new".into()));

    let half = bench
        .engine
        .update_connection(id, None, Some(settings.clone().into()), secrets.clone())
        .await;
    assert!(matches!(half, Err(connection::Error::Field { field, .. }) if field == "pass"));
    secrets.set("pass", Secret::new("new".into()));
    bench.engine.update_connection(id, None, Some(settings.into()), secrets).await.unwrap();

    let kept = bench.secrets(id).await;
    assert_eq!(kept.get("pass").unwrap().expose(), "new");
    let given_to = bench.row(id).await.connection.given_to.unwrap();
    assert!(given_to.contains("http://127.0.0.2:1"), "{given_to:?}");
    assert!(given_to.iter().all(|address| !address.contains("127.0.0.1")), "{given_to:?}");
}

#[tokio::test]
async fn an_own_connector_that_changes_takes_no_secret_to_another_host_and_no_way_from_a_connection()
 {
    let bench = Bench::start().await;
    let id = bench.pasted().await;
    let first = "auth:
  - id: another
    header_token: { header: x-other }
";
    let reordered = CONNECTOR.replace("auth:\n", first);
    bench.rewrite_connector(&reordered).await;
    bench.call(id).await.unwrap();

    let port = Url::parse(&bench.provider.url).unwrap().port().unwrap();
    let elsewhere = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let other = format!(
        "settings: {{ other: {{ title: Other, pattern: 'http://[0-9.:]+', default: 'http://127.0.0.2:{port}' }},"
    );
    let moved = CONNECTOR.replace("settings: {", &other);
    let moved = moved.replace("base_url: '{{ settings.url }}'", "base_url: '{{ settings.other }}'");
    bench.rewrite_connector(&moved).await;

    assert!(bench.call(id).await.is_err());
    assert!(bench.why(id).await.starts_with("Its settings lead to another host."));
    let came = elsewhere.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(came, Err(std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn an_own_connector_that_takes_another_part_of_a_sign_in_for_an_address_asks_first() {
    let bench = Bench::start().await;
    let by_token = "hosts: ['{{ token.region | default(\"eu\") }}.shop.example']\nauth:\n";
    let leading = CONNECTOR.replace("auth:\n", by_token);
    bench.rewrite_connector(&leading).await;
    let id = bench.signed_in().await;
    bench.call(id).await.unwrap();

    bench.rewrite_connector(&leading.replace("at: .region", "at: '\"evil\"'")).await;

    assert!(bench.call(id).await.is_err());
    assert!(bench.why(id).await.starts_with("Its settings lead to another host."));
}

#[tokio::test]
async fn who_has_issued_an_answer_is_compared_with_its_scheme_and_port() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    let with = |issuers: &[&str]| {
        let mut landed = landed.clone();
        for issuer in issuers {
            landed.query_pairs_mut().append_pair("iss", issuer);
        }
        landed
    };
    let own = bench.provider.url.as_str();

    for wrong in [
        vec!["http://127.0.0.1:1"],
        vec!["https://127.0.0.1"],
        vec!["nobody"],
        vec![own, "https://evil.example"],
    ] {
        let outcome = bench.engine.complete_sign_in(&with(&wrong)).await;
        assert!(matches!(outcome, Err(Error::Issuer(_))), "{wrong:?}: {outcome:?}");
    }
    bench.engine.complete_sign_in(&with(&[own])).await.unwrap();
}

#[tokio::test]
async fn a_fixed_port_is_free_for_the_next_sign_in() {
    let bench = Bench::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fixed =
        format!("      secret: required\n      redirect: {{ loopback_at: {{ port: {port} }} }}");
    bench.rewrite_connector(&CONNECTOR.replacen("      secret: required", &fixed, 1)).await;
    let id = bench.connection().await;

    for _ in 0..3 {
        bench.engine.authorize(id).await.unwrap();
    }
}

#[tokio::test]
async fn stopping_waits_for_a_token_that_is_being_spent() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let before = bench.row(id).await.secrets.unwrap();
    bench.clock.advance(3_600);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let caller = tokio::spawn(async move { engine.check_connection(id).await });
    bench.provider.has_been_asked(2).await;

    let engine = bench.engine.clone();
    let stopping = tokio::spawn(async move { engine.stop().await });
    // The answer comes once everything else has ended: it finds a closed store if nobody waits.
    while !bench.engine.inner.sign_ins.is_finishing() && !stopping.is_finished() {
        tokio::task::yield_now().await;
    }
    bench.provider.release();
    stopping.await.unwrap();
    drop(caller);

    let issued = bench.provider.books().refresh.clone().unwrap();
    let database = bench.folder.path().join("data/patchbay.db");
    let (generation, rotating) = crate::store::secrets_and_rotation(&database, id);
    assert_eq!((generation, rotating), (before + 1, None));
    let kept = bench.engine.inner.vault.read(&id.to_string(), generation).await.unwrap();
    assert_eq!(kept.get("refresh_token").unwrap().expose(), issued);
}

#[tokio::test]
async fn a_connection_is_switched_off_and_on_and_deleted_with_its_secrets() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.engine.authorize(id).await.unwrap();

    let off = bench.engine.switch_connection(id, false).await.unwrap();
    assert_eq!(off.connection.connection.state, ConnectionState::Off);
    assert!(!off.signing_in);
    let on = bench.engine.switch_connection(id, true).await.unwrap();
    assert_eq!(on.connection.connection.state, ConnectionState::Ready);

    let generation = bench.row(id).await.secrets.unwrap();
    bench.switches.lock(true);
    let outcome = bench.engine.delete_connection(id).await;
    assert!(matches!(outcome, Err(connection::Error::Vault(vault::Error::Locked))));
    bench.switches.lock(false);
    bench.engine.delete_connection(id).await.unwrap();

    assert!(bench.engine.connections().await.unwrap().is_empty());
    let read = bench.engine.inner.vault.read(&id.to_string(), generation).await;
    assert!(matches!(read, Err(vault::Error::NotFound)));
}

#[tokio::test]
async fn a_connection_that_is_switched_off_stays_so_whatever_is_found_out_late() {
    let bench = Bench::start().await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let sign_in = tokio::spawn(async move { engine.complete_sign_in(&landed).await });
    bench.provider.has_been_asked(1).await;

    bench.engine.switch_connection(id, false).await.unwrap();
    bench.provider.release();
    sign_in.await.unwrap().unwrap();

    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Off);
    // Nothing is called for it, and the tokens are there for when it is switched on.
    assert!(bench.provider.books().asked_me.is_empty());
    bench.engine.switch_connection(id, true).await.unwrap();
    bench.call(id).await.unwrap();
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);

    bench.engine.switch_connection(id, false).await.unwrap();
    bench.engine.connection_needs_sign_in(id, "A late refusal.".into()).await.unwrap();
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Off);
    bench.engine.switch_connection(id, false).await.unwrap();
    bench.engine.switch_connection(id, true).await.unwrap();
    assert_eq!(bench.why(id).await, "A late refusal.");
}

#[tokio::test]
async fn a_connection_that_is_switched_on_is_what_it_was_before() {
    let bench = Bench::start().await;
    let off_and_on = async |id| {
        bench.engine.switch_connection(id, false).await.unwrap();
        bench.engine.switch_connection(id, true).await.unwrap();
    };
    let id = bench.connection().await;
    off_and_on(id).await;
    assert_eq!(bench.why(id).await, "It has not been signed in yet.");

    let id = bench.pasted().await;
    off_and_on(id).await;
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);

    // What was entered meanwhile is tried.
    bench.engine.connection_needs_sign_in(id, "Over.".into()).await.unwrap();
    bench.engine.switch_connection(id, false).await.unwrap();
    let mut secrets = Secrets::new();
    secrets.set("token", Secret::new("tok_good".into()));
    bench.engine.update_connection(id, None, None, secrets).await.unwrap();
    let asked = bench.provider.books().shown.len();
    bench.engine.switch_connection(id, true).await.unwrap();
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);
    assert_eq!(bench.provider.books().shown.len(), asked + 1);
}

#[tokio::test]
async fn a_connection_that_waits_for_its_user_is_ready_once_a_check_succeeds() {
    let bench = Bench::start().await;
    let id = bench.pasted().await;
    bench.provider.books().answers = Some(StatusCode::UNAUTHORIZED);
    assert!(bench.call(id).await.is_err());
    let refused = bench.why(id).await;
    assert!(refused.contains("does not accept the token"), "{refused}");

    // That it cannot be found out proves nothing, and lets no other call through.
    bench.provider.books().answers = Some(StatusCode::FORBIDDEN);
    assert!(bench.call(id).await.is_err());
    assert_eq!(bench.why(id).await, refused);
    let row = bench.row(id).await;
    assert_eq!(row.recovered_at, None);
    assert!(row.fault.as_ref().unwrap().why.contains("answered 403"), "{:?}", row.fault);
    assert!(matches!(bench.engine.credential(&row).await, Err(outgoing::Error::SignIn(_))));

    let mut secrets = Secrets::new();
    secrets.set("token", Secret::new("tok_good".into()));
    bench.engine.update_connection(id, None, None, secrets).await.unwrap();
    assert!(bench.why(id).await.starts_with("What was entered has not been tried yet."));
    let row = bench.row(id).await;
    assert_eq!((row.recovered_at, row.fault.is_some()), (None, true));

    bench.provider.books().answers = None;
    bench.call(id).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.connection.state, row.fault), (ConnectionState::Ready, None));
    assert_eq!(row.recovered_at, Some(bench.clock.now()));
}

#[tokio::test]
async fn a_deletion_that_is_refused_has_changed_nothing() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.clock.advance(3_500);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let caller = tokio::spawn(async move { engine.check_connection(id).await });
    bench.provider.has_been_asked(2).await;
    bench.switches.lock(true);
    bench.provider.release();
    caller.await.unwrap().unwrap();
    bench.switches.lock(false);
    bench.engine.authorize(id).await.unwrap();
    bench.switches.lock(true);

    let outcome = bench.engine.delete_connection(id).await;

    assert!(matches!(outcome, Err(connection::Error::Vault(vault::Error::Locked))));
    assert!(bench.engine.inner.sign_ins.waits(id));
    bench.switches.lock(false);
    bench.call(id).await.unwrap();
    assert_eq!(bench.forms(), 2, "the tokens that wait for the vault are there still");
    let secrets = bench.secrets(id).await;
    assert_eq!(secrets.get("refresh_token"), Some(&Secret::new("canary-refresh-3".into())));
}

#[tokio::test]
async fn what_is_exchanged_while_a_connection_is_deleted_is_taken_back_and_kept_by_nobody() {
    let bench = Bench::start().await;
    let revoke = "error_in_200: .problem\n      revoke: '{{ settings.url }}/revoke'";
    bench.rewrite_connector(&CONNECTOR.replace("error_in_200: .problem", revoke)).await;
    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    bench.provider.hold();
    let engine = bench.engine.clone();
    let sign_in = tokio::spawn(async move { engine.complete_sign_in(&landed).await });
    bench.provider.has_been_asked(1).await;

    let engine = bench.engine.clone();
    let deletion = tokio::spawn(async move { engine.delete_connection(id).await });
    // Nobody else may begin where it waits for those who have.
    let exchanging = bench.engine.inner.sign_ins.exchanging(id);
    while exchanging.try_read().is_ok() && !deletion.is_finished() {
        tokio::task::yield_now().await;
    }
    bench.provider.release();

    assert_eq!(deletion.await.unwrap().unwrap(), Revoked::Done);
    let _ = sign_in.await.unwrap();
    assert_eq!(bench.provider.books().taken_back, ["canary-refresh-2"]);
    assert_eq!(bench.switches.kept(), 0);
    assert!(bench.engine.connections().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_whose_connector_cannot_be_read_is_broken_until_it_can() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let data = bench.folder.path().join("data");
    let refreshed = || {
        let connectors = bench.engine.connectors().clone();
        tokio::task::spawn_blocking(move || while !connectors.refresh() {})
    };

    write_connector(&data, "format: 1\nid: test\nname: 5 [");
    refreshed().await.unwrap();
    match bench.row(id).await.connection.state {
        ConnectionState::Broken { why } => assert!(why.contains("connector.yaml"), "{why}"),
        state => panic!("{state:?}"),
    }
    assert!(bench.call(id).await.is_err());

    write_connector(&data, CONNECTOR);
    refreshed().await.unwrap();
    assert_eq!(bench.row(id).await.connection.state, ConnectionState::Ready);
    bench.call(id).await.unwrap();
}

/// Everything that is logged on this thread, of every level and crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write as _;
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        attributes.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn no_secret_is_in_a_log_or_in_any_file_but_sealed() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("config/vault.key"));
    std::fs::create_dir(&data).unwrap();
    crate::vault::make_key_file(&key).unwrap();
    let vault = Vault::sealed_file(&data.join("vault.sealed"), &key, "installation");
    let bench = Bench::start_with(vault, Switches::default(), folder).await;

    let id = bench.connection().await;
    let authorize = bench.engine.authorize(id).await.unwrap();
    let landed = bench.provider.consent(&authorize.authorize_url);
    bench.engine.complete_sign_in(&landed).await.unwrap();
    bench.clock.advance(3_700);
    bench.call(id).await.unwrap();
    bench.provider.books().mood = Mood::LosesAnswers;
    bench.clock.advance(3_500);
    let _ = bench.call(id).await;
    bench.provider.books().mood = Mood::RefusesAloud;
    bench.clock.advance(3_700);
    bench.call(id).await.unwrap_err();
    let authorize = bench.engine.authorize(id).await.unwrap();
    let state = authorize.authorize_url.query_pairs().find(|(name, _)| name == "state").unwrap();
    bench.engine.stop().await;

    let logged = log.0.lock().unwrap().clone();
    assert!(!logged.is_empty());
    for secret in ["canary-", &state.1] {
        let at = logged.find(secret).map(|at| logged[at.saturating_sub(200)..].to_owned());
        assert_eq!(at, None);
    }
    let mut files = 0;
    let mut folders = vec![data.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let content = std::fs::read(&path).unwrap();
            for secret in ["canary-", &state.1] {
                let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} in {}", path.display());
            }
        }
    }
    assert!(files >= 4, "the database, the connector, the sealed file and the lock");
    assert!(data.join("vault.sealed").exists());
}
