//! Signing in at an OAuth server that nobody here wrote: `oidc-provider`, which runs beside the test.
//!
//! `cargo xtask test` installs it. A browser is stood in for by a client that keeps cookies, follows
//! redirects and presses the buttons of forms; everything else is real, HTTP on loopback included.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use url::Url;

use crate::TestApp;

const CONNECTOR: &str = r#"
format: 1
id: foreign
name: Foreign
status: documented
settings: { url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.url }}'
auth:
  - id: confidential
    oauth_code: &code
      authorize_url: '{{ settings.url }}/auth'
      token_url: '{{ settings.url }}/token'
      secret: required
      client: basic
      pkce: beside_secret
      scopes: [read]
      refresh: rotating
      revoke: '{{ settings.url }}/token/revocation'
  - id: no-pkce
    oauth_code:
      authorize_url: '{{ settings.url }}/auth'
      token_url: '{{ settings.url }}/token'
      secret: optional
      client: basic
      pkce: none
      scopes: [read]
  - id: public
    oauth_code:
      authorize_url: '{{ settings.url }}/auth'
      token_url: '{{ settings.url }}/token'
      secret: forbidden
      pkce: alone
      scopes: [read]
      refresh: rotating
  - id: machine
    client_credentials: { token_url: '{{ settings.url }}/token', scopes: [read] }
  - id: machine-basic
    client_credentials: { token_url: '{{ settings.url }}/token', client: basic }
  - id: device
    device:
      device_url: '{{ settings.url }}/device/auth'
      token_url: '{{ settings.url }}/token'
      scopes: [read]
      refresh: rotating
  - id: signer
    fields: { client_id: { title: Client id } }
    jwt_bearer:
      token_url: '{{ settings.url }}/token'
      token_params: { client_id: '{{ settings.client_id }}' }
      jwt:
        claims: { iss: '{{ settings.client_id }}', sub: acme, aud: '{{ settings.url }}/token' }
  # The JWT takes the place of the client's secret (RFC 7523, 2.2).
  - id: asserter
    fields: { client_id: { title: Client id }, jti: { title: Number of the JWT } }
    jwt_bearer: &asserter
      token_url: '{{ settings.url }}/token'
      grant_type: client_credentials
      assertion_param: client_assertion
      token_params:
        client_assertion_type: urn:ietf:params:oauth:client-assertion-type:jwt-bearer
      scopes: [read]
      jwt: &jwt
        claims:
          iss: '{{ settings.client_id }}'
          sub: '{{ settings.client_id }}'
          aud: '{{ settings.url }}'
          jti: '{{ settings.jti }}'
  - id: asserter-ec
    fields: { client_id: { title: Client id }, jti: { title: Number of the JWT } }
    jwt_bearer:
      <<: *asserter
      jwt: { <<: *jwt, alg: ES256 }
  - id: app
    app_jwt_exchange:
      jwt: { alg: ES256, claims: { iss: signer }, backdate: 60s, valid_for: 5m }
      call: { post: /app/installations/7/access_tokens }
      access_token: .token
check: { get: /api/me, account: .name }
"#;

/// The server, which ends with the test.
pub(crate) struct Foreign {
    pub(crate) url: String,
    pub(crate) keys: Value,
    /// Its end is the server's.
    _stdin: ChildStdin,
    _process: Child,
}

impl Foreign {
    pub(crate) async fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("oauth");
        let installed = folder.join("node_modules");
        assert!(installed.exists(), "`cargo xtask test --only machine` installs what this needs");
        let mut process = Command::new("node")
            .arg("server.mjs")
            .current_dir(&folder)
            .envs(certificate())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("Node.js is needed: {error}"));
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        // What else is said on the way is said to people.
        let mut lines = stdout.lines();
        let keys: Value = loop {
            let line = lines.next_line().await.unwrap().expect("the server starts");
            if let Ok(keys) = serde_json::from_str(&line) {
                break keys;
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = keys["url"].as_str().unwrap().to_owned();
        Self { url, keys, _stdin: stdin, _process: process }
    }

    pub(crate) async fn tell(&self, what: &str) {
        let url = format!("{}/control/{what}", self.url);
        let told = reqwest::Client::new().post(url).send().await.unwrap();
        assert!(told.status().is_success());
    }

    pub(crate) async fn ask(&self, what: &str) -> Value {
        reqwest::get(format!("{}/control/{what}", self.url)).await.unwrap().json().await.unwrap()
    }

    /// How many tokens it has given for a grant of this kind.
    pub(crate) async fn given(&self, grant: &str) -> u64 {
        self.ask("stats").await["token"][grant].as_u64().unwrap_or_default()
    }
}

/// What the mail servers beside it show: a key, and a certificate that nobody vouches for.
pub(crate) fn certificate() -> [(&'static str, String); 2] {
    let given = |name| std::env::var(name).map(|value| (name, value));
    if let (Ok(key), Ok(certificate)) = (given("MAIL_KEY"), given("MAIL_CERTIFICATE")) {
        return [key, certificate];
    }
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    [("MAIL_KEY", made.signing_key.serialize_pem()), ("MAIL_CERTIFICATE", made.cert.pem())]
}

/// Somebody with a browser.
pub(crate) struct Browser {
    client: reqwest::Client,
    cookies: HashMap<String, String>,
}

pub(crate) struct PageSeen {
    url: Url,
    status: StatusCode,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { client: client.build().unwrap(), cookies: HashMap::new() }
    }

    pub(crate) async fn open(&mut self, url: &str) -> PageSeen {
        self.follow(url.parse().unwrap(), None).await
    }

    /// Presses the button of the one form on a page; `more` is what it says by that.
    async fn press(&mut self, page: &PageSeen, more: &[(&str, &str)]) -> PageSeen {
        let form = page.text.split("<form").nth(1).expect("a form");
        let action =
            attribute(form, "action").map_or(page.url.clone(), |to| page.url.join(&to).unwrap());
        let mut fields: Vec<(String, String)> = form
            .split("<input")
            .skip(1)
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)))
            .filter(|(name, _)| !more.iter().any(|(other, _)| other == name))
            .collect();
        fields.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        self.follow(action, Some(fields)).await
    }

    async fn follow(&mut self, mut url: Url, mut form: Option<Vec<(String, String)>>) -> PageSeen {
        for _ in 0..12 {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = match form.take() {
                Some(fields) => self.client.post(url.clone()).form(&fields),
                None => self.client.get(url.clone()),
            };
            let answer = request.header("cookie", cookies.join("; ")).send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.into(), value.into());
            }
            let status = answer.status();
            match answer.headers().get("location") {
                Some(to) if status.is_redirection() => {
                    url = url.join(to.to_str().unwrap()).unwrap();
                }
                _ => return PageSeen { url, status, text: answer.text().await.unwrap() },
            }
        }
        panic!("sent on and on, at last to {url}");
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split('>').next()?;
    let after = tag.split(&format!("{name}=\"")).nth(1)?;
    Some(after.split('"').next()?.to_owned())
}

struct Bench {
    app: TestApp,
    foreign: Foreign,
}

impl Bench {
    async fn start() -> Self {
        let (app, foreign) = tokio::join!(TestApp::start(), Foreign::start());
        let folder = app.data().join("connectors/foreign");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), CONNECTOR).unwrap();
        let connectors = app.engine.connectors().clone();
        tokio::task::spawn_blocking(move || while !connectors.refresh() {}).await.unwrap();
        Self { app, foreign }
    }

    /// A connection by this way, as a client of this name.
    async fn connect(&self, way: &str, client: Option<&str>, secrets: Value) -> String {
        let mut settings = json!({ "url": self.foreign.url });
        if let Some(client) = client {
            settings["client_id"] = client.into();
        }
        self.made(way, settings, secrets).await
    }

    async fn made(&self, way: &str, settings: Value, secrets: Value) -> String {
        let request = json!({
            "connector": "foreign", "name": way, "way": way, "settings": settings,
            "secrets": secrets,
        });
        let made = self.app.post("/api/connections", request).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    async fn confidential(&self, way: &str) -> String {
        let secret = json!({ "client_secret": "canary-secret-of-confidential" });
        self.connect(way, Some("confidential"), secret).await
    }

    async fn authorize(&self, id: &str) -> Value {
        let begun = self.app.post(&format!("/api/connections/{id}/authorize"), json!({})).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.json());
        begun.json()
    }

    /// Signs in with a browser that comes back.
    async fn sign_in(&self, id: &str) {
        let begun = self.authorize(id).await;
        let page = Browser::new().open(begun["authorize_url"].as_str().unwrap()).await;
        assert!(page.text.contains("Signed in"), "{}: {}", page.url, page.text);
    }

    async fn connection(&self, id: &str) -> Value {
        self.app.read(&format!("/api/connections/{id}")).await
    }

    async fn check(&self, id: &str) -> crate::Answer {
        self.app.post(&format!("/api/connections/{id}/check"), json!({})).await
    }

    /// Checks it fifty times at once; all are answered well.
    async fn check_fifty_times_at_once(&self, id: &str) {
        let checks = futures::future::join_all((0..50).map(|_| self.check(id))).await;
        for check in checks {
            assert_eq!(check.status, StatusCode::OK, "{}", check.json());
        }
    }

    async fn is_ready(&self, id: &str, account: &str) {
        let connection = self.connection(id).await;
        assert_eq!(connection["state"], "ready", "{connection}");
        assert_eq!(connection["account"], account);
    }

    async fn why(&self, id: &str) -> String {
        let connection = self.connection(id).await;
        assert_eq!(connection["state"], "needs_sign_in", "{connection}");
        connection["why"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_code_with_pkce_beside_a_secret_signs_in() {
    let bench = Bench::start().await;
    let id = bench.confidential("confidential").await;
    assert_eq!(bench.connection(&id).await["half_made"], true);

    bench.sign_in(&id).await;

    bench.is_ready(&id, "acme").await;
    assert_eq!(bench.connection(&id).await["half_made"], false);
    assert_eq!(bench.foreign.given("authorization_code").await, 1);
}

#[tokio::test]
async fn a_code_with_pkce_alone_and_one_without_it_sign_in() {
    let bench = Bench::start().await;
    for (way, id) in [
        ("public", bench.connect("public", Some("public"), json!({})).await),
        ("no-pkce", bench.confidential("no-pkce").await),
    ] {
        let begun = bench.authorize(&id).await;
        let url = begun["authorize_url"].as_str().unwrap();
        assert_eq!(url.contains("code_challenge="), way == "public");

        let page = Browser::new().open(url).await;

        assert!(page.text.contains("Signed in"), "{way}: {}", page.text);
        bench.is_ready(&id, "acme").await;
    }
}

#[tokio::test]
async fn the_address_that_a_browser_landed_on_is_pasted() {
    let bench = Bench::start().await;
    let id = bench.confidential("confidential").await;
    let begun = bench.authorize(&id).await;
    // A browser elsewhere: it is sent to a loopback of its own, where nobody listens.
    let mut browser = Browser::new();
    let mut url: Url = begun["authorize_url"].as_str().unwrap().parse().unwrap();
    while !url.as_str().starts_with(begun["redirect_url"].as_str().unwrap()) {
        let seen = browser.client.get(url.clone()).header(
            "cookie",
            browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; "),
        );
        let seen = seen.send().await.unwrap();
        for cookie in seen.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            browser.cookies.insert(name.into(), value.into());
        }
        url = url.join(seen.headers()["location"].to_str().unwrap()).unwrap();
    }
    let complete = format!("/api/connections/{id}/authorize/complete");
    let mut elsewhere = url.clone();
    elsewhere.set_port(Some(1)).unwrap();
    let elsewhere = bench.app.post(&complete, json!({ "redirect_url": elsewhere })).await;
    let mut foreign = url.clone();
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
    let evil = "https://evil.example/";
    foreign.query_pairs_mut().clear().extend_pairs(pairs).append_pair("iss", evil);
    let foreign = bench.app.post(&complete, json!({ "redirect_url": foreign })).await;

    let pasted = bench.app.post(&complete, json!({ "redirect_url": url })).await;

    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "{}", elsewhere.json());
    assert_eq!(foreign.json()["error"]["code"], "sign_in_state", "{}", foreign.json());
    assert_eq!(pasted.status, StatusCode::OK, "{}", pasted.json());
    bench.is_ready(&id, "acme").await;
}

#[tokio::test]
async fn fifty_calls_with_a_token_about_to_end_renew_it_once() {
    let bench = Bench::start().await;
    let id = bench.confidential("confidential").await;
    bench.sign_in(&id).await;
    bench.app.clock.advance(SignedDuration::from_secs(3_700));

    bench.check_fifty_times_at_once(&id).await;

    assert_eq!(bench.foreign.given("refresh_token").await, 1);
    // The next one is spent as well, so that it was kept.
    bench.app.clock.advance(SignedDuration::from_secs(3_700));
    bench.check_fifty_times_at_once(&id).await;
    assert_eq!(bench.foreign.given("refresh_token").await, 2);
    assert_eq!(bench.foreign.ask("stats").await["refused"], 0);
}

#[tokio::test]
async fn fifty_calls_with_a_token_that_is_refused_renew_it_once_and_are_made_again() {
    let bench = Bench::start().await;
    let id = bench.confidential("confidential").await;
    bench.sign_in(&id).await;
    bench.foreign.tell("end-access").await;

    bench.check_fifty_times_at_once(&id).await;

    assert_eq!(bench.foreign.given("refresh_token").await, 1);
}

#[tokio::test]
async fn an_answer_lost_in_a_rotation_is_asked_for_once_more_and_reuse_is_told() {
    let bench = Bench::start().await;
    let id = bench.confidential("confidential").await;
    bench.sign_in(&id).await;
    bench.foreign.tell("lose-answers").await;
    bench.app.clock.advance(SignedDuration::from_secs(3_700));
    assert_ne!(bench.check(&id).await.status, StatusCode::OK);
    assert_eq!(bench.connection(&id).await["state"], "ready", "nobody has said no");
    bench.foreign.tell("keep-answers").await;
    let refused = bench.foreign.ask("stats").await["refused"].as_u64().unwrap();

    // A renewal that has just failed is not tried again at once.
    assert_ne!(bench.check(&id).await.status, StatusCode::OK);
    assert_eq!(bench.foreign.ask("stats").await["refused"], refused);
    // Whoever switches it off and on has not to wait.
    for on in [false, true] {
        let path = format!("/api/connections/{id}");
        assert_eq!(bench.app.patch(&path, json!({ "on": on })).await.status, StatusCode::OK);
    }
    assert_ne!(bench.check(&id).await.status, StatusCode::OK);

    let why = bench.why(&id).await;
    assert!(why.starts_with("The answer to the last renewal of the sign-in was lost"), "{why}");
    assert!(why.contains("invalid_grant"), "{why}");
    assert_ne!(bench.check(&id).await.status, StatusCode::OK);
    assert_eq!(bench.foreign.ask("stats").await["refused"], refused + 1, "tried once");
    // The server took the whole family back, as it should.
    assert_eq!(bench.foreign.ask("alive").await["refresh"], 0);

    bench.sign_in(&id).await;
    bench.is_ready(&id, "acme").await;
    assert!(bench.connection(&id).await["recovered_at"].is_string());
}

#[tokio::test]
async fn an_app_lets_itself_in_with_its_id_and_secret() {
    let bench = Bench::start().await;
    for way in ["machine", "machine-basic"] {
        let secret = json!({ "client_secret": format!("canary-secret-of-{way}") });
        let id = bench.connect(way, Some(way), secret).await;

        bench.is_ready(&id, way).await;
        let before = bench.foreign.given("client_credentials").await;
        bench.app.clock.advance(SignedDuration::from_secs(700));
        bench.check_fifty_times_at_once(&id).await;
        assert_eq!(bench.foreign.given("client_credentials").await, before + 1);
    }
}

#[tokio::test]
async fn a_wrong_client_secret_is_told_and_entered_again() {
    let bench = Bench::start().await;
    let wrong = json!({ "client_secret": "canary-wrong" });
    let id = bench.connect("machine", Some("machine"), wrong).await;
    let why = bench.why(&id).await;
    assert!(why.starts_with("No token could be had with what was entered"), "{why}");
    assert!(why.contains("invalid_client"), "{why}");
    assert!(!why.contains("canary"), "{why}");

    let right = json!({ "secrets": { "client_secret": "canary-secret-of-machine" } });
    let patched = bench.app.patch(&format!("/api/connections/{id}"), right).await;

    assert_eq!(patched.status, StatusCode::OK, "{}", patched.json());
    bench.is_ready(&id, "machine").await;
}

#[tokio::test]
async fn a_code_that_is_typed_into_a_page_signs_in() {
    let bench = Bench::start().await;
    let id = bench.connect("device", Some("device"), json!({})).await;

    let begun = bench.authorize(&id).await;

    assert_eq!(begun["kind"], "device");
    let code = begun["user_code"].as_str().unwrap();
    let waiting = bench.connection(&id).await;
    assert_eq!(waiting["state"], "signing_in");
    assert_eq!(waiting["device_code"]["user_code"], code);
    let mut browser = Browser::new();
    let page = browser.open(waiting["device_code"]["verification_url"].as_str().unwrap()).await;
    let page = browser.press(&page, &[("user_code", code)]).await;
    let page = browser.press(&page, &[("confirm", "yes")]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let ready = bench.app.until("the sign-in", async |app| {
        let connection = app.read(&format!("/api/connections/{id}")).await;
        (connection["state"] == "ready").then_some(connection)
    });
    assert_eq!(ready.await["device_code"], Value::Null);
    bench.app.clock.advance(SignedDuration::from_secs(3_700));
    bench.check_fifty_times_at_once(&id).await;
    assert_eq!(bench.foreign.given("refresh_token").await, 1);
}

#[tokio::test]
async fn a_code_that_is_refused_on_the_page_or_given_up_here_ends() {
    let bench = Bench::start().await;
    let id = bench.connect("device", Some("device"), json!({})).await;
    let begun = bench.authorize(&id).await;
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/device", bench.foreign.url)).await;
    let page = browser.press(&page, &[("user_code", begun["user_code"].as_str().unwrap())]).await;

    browser.press(&page, &[("abort", "yes")]).await;

    let why = bench.app.until("the end of the sign-in", async |app| {
        let connection = app.read(&format!("/api/connections/{id}")).await;
        let ended = connection["state"] == "needs_sign_in";
        ended.then(|| connection["why"].as_str().unwrap().to_owned())
    });
    assert_eq!(why.await, "Access was not allowed on the provider's page.");

    bench.authorize(&id).await;
    let cancelled =
        bench.app.post(&format!("/api/connections/{id}/authorize/cancel"), json!({})).await;
    assert_eq!(cancelled.json()["state"], "needs_sign_in");
    assert_eq!(cancelled.json()["device_code"], Value::Null);
}

#[tokio::test]
async fn a_jwt_that_we_sign_becomes_a_token() {
    let bench = Bench::start().await;
    for form in ["rsa_pkcs8", "rsa_pkcs1"] {
        let key = json!({ "private_key": bench.foreign.keys[form] });
        let id = bench.connect("signer", Some("signer"), key).await;
        bench.is_ready(&id, "signer").await;
    }
    for form in ["ec_pkcs8", "ec_sec1"] {
        let key = json!({ "private_key": bench.foreign.keys[form] });
        let id = bench.connect("app", None, key).await;
        bench.is_ready(&id, "signer").await;
    }
}

#[tokio::test]
async fn a_jwt_that_we_sign_shows_which_app_asks() {
    let bench = Bench::start().await;
    for (way, key) in [("asserter", "rsa_pkcs8"), ("asserter-ec", "ec_pkcs8")] {
        let settings = json!({ "url": bench.foreign.url, "client_id": way, "jti": "1" });
        let right = json!({ "private_key": bench.foreign.keys[key] });
        let id = bench.made(way, settings.clone(), right.clone()).await;
        bench.is_ready(&id, way).await;

        // The server takes none twice.
        let again = bench.made(way, settings, right).await;
        let why = bench.why(&again).await;
        assert!(why.contains("client authentication failed"), "{why}");
    }
}

#[tokio::test]
async fn a_jwt_of_a_clock_that_is_off_or_of_another_key_is_told() {
    let bench = Bench::start().await;
    bench.app.clock.advance(SignedDuration::from_mins(-15));
    let key = json!({ "private_key": bench.foreign.keys["rsa_pkcs8"] });
    let off = bench.connect("signer", Some("signer"), key).await;
    let why = bench.why(&off).await;
    assert!(why.contains("the clock of this computer is 15 minutes behind theirs"), "{why}");

    bench.app.clock.advance(SignedDuration::from_mins(15));
    let check = bench.check(&off).await;
    assert_eq!(check.status, StatusCode::OK, "{}", check.json());

    let key = json!({ "private_key": bench.foreign.keys["ec_pkcs8"] });
    let id = bench.connect("signer", Some("signer"), key).await;
    let check = bench.check(&id).await.json();
    let message = check["error"]["message"].as_str().unwrap();
    assert!(message.contains("the private key is not an RSA key"), "{message}");
}

#[tokio::test]
async fn what_is_deleted_is_taken_back_at_the_provider_and_noted_in_the_ledger() {
    let bench = Bench::start().await;
    let id = bench.confidential("confidential").await;
    bench.sign_in(&id).await;
    bench.check(&id).await;
    let shown = bench.connection(&id).await;
    assert_eq!(shown["revokes"], true);
    let ledger = bench.app.read(&format!("/api/connections/{id}/ledger")).await;

    let deleted = bench.app.delete(&format!("/api/connections/{id}")).await;

    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.json());
    assert_eq!(bench.foreign.ask("alive").await["refresh"], 0);
    let host = bench.foreign.url.strip_prefix("http://").unwrap();
    let entries = ledger["ledger"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["host"] == host), "{ledger}");
    let of = |purpose: &str| entries.iter().find(|entry| entry["purpose"] == purpose).unwrap();
    assert_eq!(of("sign-in")["secrets"], json!(["client_secret", "code", "code_verifier"]));
    assert_eq!(of("check")["secrets"], json!(["access_token"]));
    // As many as the server counted: one after the sign-in, and one more.
    let stats = bench.foreign.ask("stats").await;
    assert_eq!(of("check")["times"], stats["api"]);
}
