//! Input that is bad, and the sentence that people are told about it: by the API, which is what the
//! pages show, and by the command line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::api::Api;
use crate::home::{Home, Serve, text};
use crate::stand_in::{Answer, Asked, StandIn};

const CONNECTOR: &str = r#"
format: 1
id: shop
name: Shop
status: documented
settings: { shop: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.shop }}'
auth:
  - header_token: { header: x-shop-key }
  - query_token: { param: access_token }
  - fields: { user: { title: User }, password: { title: Password, secret: true } }
    basic: { user: '{{ settings.user }}', pass: '{{ secrets.password }}' }
  - oauth_code:
      authorize_url: '{{ settings.shop }}/authorize'
      token_url: '{{ settings.shop }}/token'
      secret: required
      pkce: beside_secret
      refresh: rotating
  - id: hosted
    oauth_code:
      authorize_url: '{{ settings.shop }}/authorize'
      token_url: 'https://{{ callback.domain_prefix }}.shop.example/token'
      callback: { domain_prefix: { pattern: '[a-z0-9-]+' } }
      secret: required
      pkce: none
  - id: form
    client_credentials: { token_url: '{{ settings.shop }}/token' }
  - id: json
    client_credentials: { token_url: '{{ settings.shop }}/token', token_body: json }
  - id: by-basic
    client_credentials: { token_url: '{{ settings.shop }}/token', client: basic }
check: { get: /me, account: .name }
errors: { message: .message }
"#;

/// A provider that answers as the test says, and a Patchbay without connections.
struct Bench {
    home: Home,
    serve: Serve,
    api: Api,
    provider: StandIn,
}

impl Bench {
    async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let home = Home::new();
        assert_eq!(home.patchbay(&["vault", "init"]).status.code(), Some(0));
        let folder = home.data().join("connectors/shop");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), CONNECTOR).unwrap();
        let provider = StandIn::start(answer).await;
        let serve = home.serve(&[]);
        let api = Api::of(&home);
        Self { home, serve, api, provider }
    }

    fn request(&self, way: &str, secrets: &Value) -> Value {
        let mut settings = json!({ "shop": self.provider.url });
        match way {
            "header_token" | "query_token" => {}
            "basic" => settings["user"] = json!("me"),
            _ => settings["client_id"] = json!("mine"),
        }
        json!({
            "connector": "shop", "name": way, "way": way, "settings": settings,
            "secrets": secrets,
        })
    }

    async fn connect(&self, way: &str, secrets: &Value) -> String {
        self.api.make("/api/connections", self.request(way, secrets)).await
    }

    async fn with_token(&self) -> String {
        self.connect("header_token", &json!({ "token": "s3cret-token" })).await
    }

    /// A check tells this, and what to do about it: to programs and in a terminal. Afterwards the
    /// connections tell it, too.
    async fn is_told(&self, id: &str, code: &str, sentence: &str, hint: &str) {
        let (_, answer) = self.api.check(id).await;
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{answer}");
        assert!(error["message"].as_str().unwrap().contains(sentence), "{answer}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{answer}");

        let out = self.home.patchbay(&["connections", "check", id]);
        assert_eq!(out.status.code(), Some(1));
        let told = text(&out.stderr);
        assert!(told.contains(sentence) && told.contains(hint), "{told}");
        self.is_listed(id, sentence).await;
    }

    /// The pages and the terminal list it with this sentence.
    async fn is_listed(&self, id: &str, sentence: &str) {
        let connection = self.api.connection(id).await;
        let why = connection.get("why").or_else(|| connection["fault"].get("why"));
        assert!(why.unwrap().as_str().unwrap().contains(sentence), "{connection}");
        let out = self.home.patchbay(&["connections"]);
        let row = text(&out.stdout).lines().find(|line| line.starts_with(id));
        assert!(row.unwrap().contains(sentence), "{}", text(&out.stdout));
    }

    /// It cannot be made at all, for this reason.
    async fn is_refused(&self, request: Value, sentence: &str) {
        let (status, answer) = self.api.post("/api/connections", request).await;
        assert_eq!(status, 422, "{answer}");
        assert_eq!(answer["error"]["message"], sentence);
        assert!(answer["error"]["hint"].is_string());
    }
}

fn account() -> Answer {
    Answer::json(200, &json!({ "name": "Acme" }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told_and_entered_again() {
    let bench = Bench::start(|asked| match asked.header("x-shop-key") {
        "right" => account(),
        _ => Answer::json(401, &json!({ "message": "who are you?" })),
    })
    .await;
    let id = bench.with_token().await;

    let sentence = "The provider does not accept the token. Enter another.";
    bench.is_listed(&id, sentence).await;
    bench.is_told(&id, "credentials", sentence, "Sign in again").await;

    let right = json!({ "secrets": { "token": "right" } });
    let path = format!("/api/connections/{id}");
    let (_, connection) = bench.api.call(Method::PATCH, &path, Some(&right)).await;
    assert_eq!(connection["state"], "ready", "{connection}");
    let out = bench.home.patchbay(&["connections", "check", "header_token"]);
    assert_eq!(text(&out.stdout), "header_token works: its account is Acme.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_is_missing_is_told() {
    let answer = json!({ "message": "missing scope `read_orders`" });
    let bench = Bench::start(move |_| Answer::json(403, &answer)).await;
    let id = bench.with_token().await;

    let sentence = "127.0.0.1 answered 403: missing scope `read_orders`";
    bench.is_told(&id, "bad_answer", sentence, "the scopes of its token").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_has_expired_is_told() {
    let answer = json!({ "error": "invalid_client", "error_description": "this app has expired" });
    let bench = Bench::start(move |_| Answer::json(401, &answer)).await;
    let id = bench.connect("form", &json!({ "client_secret": "s3cret" })).await;

    let sentence = "No token could be had with what was entered: 127.0.0.1 refused it: this app has \
                    expired (invalid_client).";
    bench.is_listed(&id, sentence).await;
    bench.is_told(&id, "credentials", sentence, "Sign in again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ten_minutes_off_is_told() {
    let bench = Bench::start(|_| {
        let theirs = Timestamp::now() + SignedDuration::from_mins(10);
        let theirs =
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&theirs);
        let answer = json!({ "error": "invalid_grant", "error_description": "not yet good" });
        Answer::json(400, &answer).with("date", theirs.unwrap())
    })
    .await;
    let id = bench.connect("form", &json!({ "client_secret": "s3cret" })).await;

    let sentence = "not yet good (invalid_grant); the clock of this computer is";
    bench.is_told(&id, "credentials", sentence, "Sign in again").await;
    bench.is_listed(&id, "minutes behind theirs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_signed_by_a_clock_that_is_ten_minutes_off_is_told() {
    let bench = Bench::start(|_| account()).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let inbox = json!({
        "name": "Hooks", "connector": "standard-webhooks", "secrets": { "signing_secret": secret },
    });
    let inbox = bench.api.make("/api/inboxes", inbox).await;
    let inbox = bench.api.get(&format!("/api/inboxes/{inbox}")).await;
    let at = Timestamp::now().as_second() - 600;
    let signature = standardwebhooks::Webhook::new(secret).unwrap().sign("msg_1", at, b"{}");

    let answer = reqwest::Client::new()
        .post(inbox["local_url"].as_str().unwrap())
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", at)
        .header("webhook-signature", signature.unwrap())
        .body("{}")
        .send()
        .await
        .unwrap();

    assert!(answer.status().is_client_error());
    let refusals = bench.api.until("/api/refusals", |it| it["refusals"][0].is_object()).await;
    let id = refusals["refusals"][0]["id"].as_str().unwrap();
    let refusal = bench.api.get(&format!("/api/refusals/{id}")).await;
    assert_eq!(refusal["reason"], "stale", "{refusal}");
    assert!(refusal["hint"].as_str().unwrap().contains("clock"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_in_place_of_an_answer_is_told() {
    let page = || Answer::text(200, "text/html; charset=utf-8", "<html><h1>Log in</h1></html>");
    let bench = Bench::start(move |_| page()).await;

    let id = bench.with_token().await;
    let sentence = "it sent a web page, and no JSON";
    bench.is_told(&id, "bad_answer", sentence, "The API may have changed").await;
    let id = bench.connect("form", &json!({ "client_secret": "s3cret" })).await;
    let sentence = "it sent a web page, and neither JSON nor a form";
    bench.is_told(&id, "bad_answer", sentence, "The API may have changed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_to_another_host_is_told_and_not_followed() {
    let stranger = StandIn::start(|_| account()).await;
    let to = stranger.url.replace("127.0.0.1", "localhost");
    let bench =
        Bench::start(move |_| Answer::json(302, &json!({})).with("location", to.clone())).await;
    let id = bench.with_token().await;

    let sentence = "127.0.0.1 sent us on, and localhost is not a host that this connector names";
    bench.is_told(&id, "forbidden_host", sentence, "Nothing was sent there.").await;
    assert!(stranger.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_would_lead_to_another_host_is_refused() {
    let bench = Bench::start(|_| account()).await;
    // Typed in, at a connector that ships.
    let typed = json!({
        "connector": "lightspeed-x", "name": "x", "settings": { "domain": "evil.example/" },
        "secrets": { "token": "s3cret" },
    });
    bench.is_refused(typed, "`domain` does not look like `acme`").await;

    // Brought back by a browser.
    let id = bench.connect("hosted", &json!({ "client_secret": "s3cret" })).await;
    let page = bench.api.authorize(&id).await;
    let back = [("code", "c0de"), ("domain_prefix", "evil.example/")];
    let shown = bench.api.come_back(&page, &back).await;

    let sentence = "sent the browser back without a `domain_prefix` that fits";
    assert!(shown.contains("Not signed in") && shown.contains(sentence), "{shown}");
    bench.is_listed(&id, sentence).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_is_broken_off_is_told_and_begun_again() {
    let bench = Bench::start(|asked| match asked.path.as_str() {
        "/token" => Answer::json(200, &json!({ "access_token": "access", "expires_in": 3600 })),
        _ => account(),
    })
    .await;
    let id = bench.connect("oauth_code", &json!({ "client_secret": "s3cret" })).await;
    bench.is_listed(&id, "It has not been signed in yet.").await;

    // The page is closed, and the browser goes away in the middle of its way back.
    let first = bench.api.authorize(&id).await;
    let back = first.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
    let back: url::Url = back.parse().unwrap();
    let mut stream =
        tokio::net::TcpStream::connect(("127.0.0.1", back.port().unwrap())).await.unwrap();
    stream.write_all(b"GET /oauth/callback?code=half").await.unwrap();
    drop(stream);
    let waiting = bench.api.connection(&id).await;
    assert_eq!(waiting["state"], "signing_in");
    assert!(
        text(&bench.home.patchbay(&["connections"]).stdout).contains("waiting for the sign-in")
    );

    // The user says no.
    let shown = bench.api.come_back(&first, &[("error", "access_denied")]).await;
    assert!(shown.contains("access was not allowed on its page"), "{shown}");
    let sentence =
        "Access was not allowed on its page. Sign in again, and allow what is asked for.";
    bench.is_listed(&id, sentence).await;

    // Somebody gives up, and begins again.
    bench.api.authorize(&id).await;
    let cancel = format!("/api/connections/{id}/authorize/cancel");
    let (_, cancelled) = bench.api.post(&cancel, json!({})).await;
    assert_eq!(cancelled["state"], "needs_sign_in");
    let page = bench.api.authorize(&id).await;
    let shown = bench.api.come_back(&page, &[("code", "c0de")]).await;
    assert!(shown.contains("Signed in"), "{shown}");
    assert_eq!(bench.api.connection(&id).await["state"], "ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_six_kilobytes_are_kept_and_sent_whole() {
    let long = |letter: &str| letter.repeat(6 * 1024);
    let (access, refresh) = (long("a"), long("r"));
    let expires = Arc::new(AtomicBool::new(false));
    let (expired, bearer) = (Arc::clone(&expires), format!("Bearer {access}"));
    let answer = json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3600 });
    let pasted = long("p");
    let known = pasted.clone();
    let mut bench = Bench::start(move |asked| match asked.path.as_str() {
        "/token" => {
            expired.store(false, Ordering::SeqCst);
            Answer::json(200, &answer)
        }
        _ if expired.load(Ordering::SeqCst) => Answer::json(401, &json!({})),
        _ if asked.header("authorization") == bearer => account(),
        _ if asked.header("x-shop-key") == known => account(),
        _ => Answer::json(401, &json!({})),
    })
    .await;
    let first = bench.connect("header_token", &json!({ "token": pasted })).await;
    let second = bench.connect("oauth_code", &json!({ "client_secret": "s3cret" })).await;
    let page = bench.api.authorize(&second).await;
    bench.api.come_back(&page, &[("code", "c0de")]).await;

    // What is in memory does not count.
    assert_eq!(bench.serve.end(Signal::TERM), Some(0));
    bench.serve = bench.home.serve(&[]);
    bench.api = Api::of(&bench.home);
    for id in [&first, &second] {
        let (status, answer) = bench.api.check(id).await;
        assert_eq!((status, &answer["state"]), (200, &json!("ready")), "{answer}");
    }
    expires.store(true, Ordering::SeqCst);
    assert_eq!(bench.api.check(&second).await.0, 200);
    let renewal = bench.provider.seen().into_iter().rfind(|asked| asked.path == "/token").unwrap();
    assert_eq!(renewal.form()["refresh_token"], refresh);
}

/// Every letter that something has to escape somewhere.
fn printable() -> String {
    let all: String = (b'!'..=b'~').map(char::from).collect();
    format!("{all} {all}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_all_letters_that_need_escaping_arrives_as_it_is() {
    let bench = Bench::start(|asked| {
        let said = String::from_utf8_lossy(&asked.raw).into_owned();
        match asked.path.as_str() {
            // It says again all that it was sent, in an answer that is an error.
            "/token" => Answer::json(400, &json!({ "error": "no", "error_description": said })),
            _ => Answer::json(422, &json!({ "message": said })),
        }
    })
    .await;
    let secret = printable();
    let wide = format!("{secret}äλ…");
    for (way, name, secret) in [
        ("header_token", "token", &secret),
        ("query_token", "token", &wide),
        ("basic", "password", &wide),
        ("form", "client_secret", &wide),
        ("json", "client_secret", &wide),
        ("by-basic", "client_secret", &wide),
    ] {
        let id = bench.connect(way, &json!({ name: secret })).await;

        let asked = bench.provider.seen().pop().unwrap();
        assert_eq!(&carried(way, &asked), secret, "{way}");
        bench.api.check(&id).await;
        bench.api.get(&format!("/api/connections/{id}/exchanges")).await;
        let said = String::from_utf8(bench.api.said()).unwrap();
        // Pieces that need no escaping, which would be there however it was written.
        for piece in ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"] {
            assert!(!said.contains(piece), "{way}: {piece}: {}", near(&said, piece));
        }
        let out = bench.home.patchbay(&["connections", "check", &id]);
        assert!(!text(&out.stderr).contains("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "{way}");
    }

    let refused = "`token` has letters that no header can carry";
    bench.is_refused(bench.request("header_token", &json!({ "token": wide })), refused).await;
    let refused = "`password` has characters that cannot be printed";
    bench.is_refused(bench.request("basic", &json!({ "password": "a\u{7}b" })), refused).await;
}

fn near<'a>(text: &'a str, piece: &str) -> &'a str {
    let at = text.find(piece).unwrap();
    let (from, to) = (at.saturating_sub(300), text.len().min(at + 200));
    text.get(text.floor_char_boundary(from)..text.floor_char_boundary(to)).unwrap()
}

/// The secret of a request, as its receiver reads it.
fn carried(way: &str, asked: &Asked) -> String {
    let basic = || {
        let pair = asked.header("authorization").strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(BASE64_STANDARD.decode(pair).unwrap()).unwrap();
        pair.split_once(':').unwrap().1.to_owned()
    };
    match way {
        "header_token" => asked.header("x-shop-key").to_owned(),
        "query_token" => {
            let mut pairs = url::form_urlencoded::parse(asked.query.as_bytes());
            pairs.find(|(name, _)| name == "access_token").unwrap().1.into_owned()
        }
        "basic" => basic(),
        // RFC 6749, 2.3.1: encoded like a form before it is encoded once more.
        "by-basic" => {
            let pair = format!("x={}", basic());
            url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
        }
        "form" => asked.form()["client_secret"].clone(),
        _ => {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            body["client_secret"].as_str().unwrap().to_owned()
        }
    }
}
