//! Keys that a shop's server brings to the public address, with a stand-in that does as WooCommerce's
//! `WC_Auth` does: it makes keys, posts them, takes them back unless it is answered with 200, and
//! sends the browser back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::app::Options;
use crate::{Answer, TestApp};

const PUBLIC: &str = "https://hooks.shop-owner.example";
const CHECK: &str = "/wp-json/wc/v3/settings/email/woocommerce_email_from_name";

/// A shop of somebody else's.
#[derive(Clone)]
struct Shop {
    url: String,
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    made: u32,
    /// Pairs that are let in.
    good: HashSet<(String, String)>,
    /// What was let in, or tried to be.
    tried: Vec<String>,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shop = Self { url, books: Arc::default() };
        let routes = Router::new().route(CHECK, get(settings)).with_state(shop.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        shop
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// A pair of keys as the shop makes them.
    fn keys(&self) -> (String, String) {
        let mut books = self.books();
        books.made += 1;
        let pair = (format!("ck_{:040x}", books.made), format!("cs_{:040x}", books.made));
        books.good.insert(pair.clone());
        pair
    }

    fn take_back(&self, keys: &(String, String)) {
        self.books().good.remove(keys);
    }
}

async fn settings(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let given = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let mut books = shop.books();
    books.tried.push(given.to_owned());
    let known = |(key, secret): &(String, String)| {
        given == format!("Basic {}", BASE64_STANDARD.encode(format!("{key}:{secret}")))
    };
    match books.good.iter().any(known) {
        true => json!({ "value": "Corner shop" }).to_string().into_response(),
        false => {
            let said = json!({ "code": "woocommerce_rest_cannot_view", "message": "Sorry" });
            (StatusCode::UNAUTHORIZED, said.to_string()).into_response()
        }
    }
}

/// The application behind a public address, a shop, and a connection to it.
struct Counter {
    app: TestApp,
    shop: Shop,
    connection: String,
    /// Where what comes to the public address arrives.
    door: String,
}

/// What the shop's page is told.
struct Page(HashMap<String, String>);

impl Page {
    fn keys(&self, (key, secret): &(String, String)) -> Value {
        json!({ "key_id": 1, "user_id": self.0["user_id"], "consumer_key": key,
            "consumer_secret": secret, "key_permissions": "read_write" })
    }

    /// Where the browser is sent, as a path of the public address.
    fn back(&self, success: &str) -> String {
        let mut back: Url = self.0["return_url"].parse().unwrap();
        back.query_pairs_mut()
            .append_pair("success", success)
            .append_pair("user_id", &self.0["user_id"]);
        assert_eq!(back.origin().ascii_serialization(), PUBLIC);
        back[url::Position::BeforePath..].to_owned()
    }
}

impl Counter {
    async fn open() -> Self {
        let app = TestApp::start().await;
        let tunnel = json!({ "kind": "own-url", "settings": { "public_url": PUBLIC } });
        let door = reached(&app, tunnel).await;
        let shop = Shop::open().await;
        let connection = connection(&app, &shop.url).await;
        Self { app, shop, connection, door }
    }

    fn path(&self, more: &str) -> String {
        format!("/api/connections/{}{more}", self.connection)
    }

    async fn row(&self) -> Value {
        self.app.read(&self.path("")).await
    }

    /// The page that a sign-in opens.
    async fn begin(&self) -> Page {
        let begun = self.app.post(&self.path("/authorize"), json!({})).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.json());
        let begun = begun.json();
        assert_eq!(begun["kind"], "hand_over");
        let page: Url = begun["authorize_url"].as_str().unwrap().parse().unwrap();
        assert_eq!(
            page[..url::Position::AfterPath],
            format!("{}/wc-auth/v1/authorize", self.shop.url)
        );
        let query: HashMap<_, _> = page.query_pairs().into_owned().collect();
        assert_eq!(query["callback_url"], format!("{PUBLIC}/oauth/callback"));
        assert_eq!((&*query["scope"], &*query["app_name"]), ("read_write", "Patchbay"));
        assert!(query["user_id"].len() > 40);
        Page(query)
    }

    /// What comes to the public address.
    async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("{}{path}", self.door)).body(body);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.bytes().await.unwrap() }
    }

    async fn hand_over(&self, body: &Value) -> Answer {
        self.send(Method::POST, "/oauth/callback", body.to_string()).await
    }

    async fn come_back(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    async fn account(&self) -> Value {
        let named = async |counter: &TestApp| {
            let row = counter.read(&self.path("")).await;
            (row["account"] != Value::Null).then_some(row)
        };
        self.app.until("the account's name", named).await
    }
}

/// A tunnel that runs, and where what comes to its address arrives.
async fn reached(app: &TestApp, tunnel: Value) -> String {
    let made = app.post("/api/tunnels", tunnel).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let path = format!("/api/tunnels/{}", made.json()["id"].as_str().unwrap());
    let started = app.post(&format!("{path}/start"), json!({})).await;
    assert!(started.status.is_success(), "{}", started.json());
    let up = async |app: &TestApp| {
        let tunnel = app.read(&path).await;
        let there = tunnel["public_url"].is_string().then(|| tunnel["ingress"].clone())?;
        Some(format!("http://{}", there.as_str()?))
    };
    app.until("the tunnel", up).await
}

async fn connection(app: &TestApp, url: &str) -> String {
    let request = json!({ "connector": "woocommerce", "name": "Corner", "way": "key_hand_over",
        "settings": { "url": url } });
    let made = app.post("/api/connections", request).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    assert_eq!(made.json()["state"], "needs_sign_in");
    made.json()["id"].as_str().unwrap().to_owned()
}

/// As if there were no such path.
#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (StatusCode::NOT_FOUND, &b""[..]));
}

#[tokio::test]
async fn keys_that_a_shop_sends_make_the_connection_ready() {
    let counter = Counter::open().await;
    let page = counter.begin().await;
    assert_eq!(counter.row().await["state"], "signing_in");
    let keys = counter.shop.keys();

    let taken = counter.hand_over(&page.keys(&keys)).await;
    let back = counter.come_back(&page.back("1")).await;

    assert_eq!((taken.status, taken.body.len()), (StatusCode::OK, 0));
    let row = counter.account().await;
    assert_eq!((&row["state"], &row["account"]), (&json!("ready"), &json!("Corner shop")));
    let text = String::from_utf8(back.body.to_vec()).unwrap();
    assert_eq!(back.status, StatusCode::OK);
    assert!(text.contains("Corner is connected. You can close this tab."), "{text}");
    assert!(!text.contains("src=") && !text.contains("href="), "{text}");
    assert_eq!(back.header("cache-control"), "no-store");
    assert_eq!(back.header("referrer-policy"), "no-referrer");
    assert!(back.header("content-security-policy").starts_with("default-src 'none'"));
    // Whoever looks at the connection sees no key.
    let said = counter.app.get(&counter.path("")).await.body;
    let said = String::from_utf8(said.to_vec()).unwrap();
    assert!(!said.contains(&keys.0) && !said.contains(&keys.1));
}

#[tokio::test]
async fn keys_are_taken_once() {
    let counter = Counter::open().await;
    let page = counter.begin().await;
    let keys = counter.shop.keys();
    assert_eq!(counter.hand_over(&page.keys(&keys)).await.status, StatusCode::OK);
    counter.account().await;

    let other = counter.shop.keys();
    assert_unknown(&counter.hand_over(&page.keys(&other)).await);

    let checked = counter.app.post(&counter.path("/check"), json!({})).await;
    assert_eq!(checked.status, StatusCode::OK);
    let used = BASE64_STANDARD.encode(format!("{}:{}", keys.0, keys.1));
    assert_eq!(counter.shop.books().tried.last(), Some(&format!("Basic {used}")));
    // The page can be loaded again, by whoever was sent there.
    assert_eq!(counter.come_back(&page.back("1")).await.status, StatusCode::OK);
    assert_unknown(&counter.come_back("/oauth/callback?success=1&state=other").await);
}

#[tokio::test]
async fn what_does_not_know_the_nonce_changes_nothing() {
    let counter = Counter::open().await;
    let path = "/oauth/callback";
    let forged = json!({ "user_id": "1", "consumer_key": "ck_1", "consumer_secret": "cs_1" });
    assert_unknown(&counter.hand_over(&forged).await);
    let page = counter.begin().await;

    let mut nearly = page.keys(&counter.shop.keys());
    let nonce = page.0["user_id"].clone();
    let large = format!("{}{}", page.keys(&counter.shop.keys()), " ".repeat(17 * 1024));
    let deep = "[".repeat(8_000);
    for body in [
        forged.to_string(),
        json!({ "consumer_key": "ck_1", "consumer_secret": "cs_1" }).to_string(),
        json!({ "user_id": [nonce], "consumer_key": "ck_1" }).to_string(),
        {
            nearly["user_id"] = json!(format!("{nonce}x"));
            nearly.to_string()
        },
        {
            nearly["user_id"] = json!(nonce[1..]);
            nearly.to_string()
        },
        format!("user_id={nonce}&consumer_key=ck_1&consumer_secret=cs_1"),
        format!("{{\"user_id\": \"{nonce}\""),
        "null".into(),
        String::new(),
        large,
        deep,
    ] {
        assert_unknown(&counter.send(Method::POST, path, body).await);
    }
    let keys = page.keys(&counter.shop.keys());
    for (method, path) in [
        (Method::PUT, "/oauth/callback"),
        (Method::GET, "/oauth/callback"),
        (Method::GET, "/oauth/callback?success=0"),
        (Method::GET, "/oauth/callback?success=0&state=x"),
        (Method::POST, "/oauth/callback/"),
        (Method::POST, "/oauth"),
    ] {
        assert_unknown(&counter.send(method, path, keys.to_string()).await);
    }
    assert!(counter.shop.books().tried.is_empty());

    assert_eq!(counter.row().await["state"], "signing_in");
    assert_eq!(counter.hand_over(&keys).await.status, StatusCode::OK);
    assert_eq!(counter.account().await["state"], "ready");
}

#[tokio::test]
async fn a_sign_in_that_has_ended_takes_no_keys() {
    let counter = Counter::open().await;
    let keys = counter.shop.keys();
    let older = counter.begin().await;
    let cancelled = counter.begin().await;
    assert_unknown(&counter.hand_over(&older.keys(&keys)).await);

    let ended = counter.app.post(&counter.path("/authorize/cancel"), json!({})).await;
    assert_eq!(ended.json()["state"], "needs_sign_in");
    assert_unknown(&counter.hand_over(&cancelled.keys(&keys)).await);

    assert!(counter.shop.books().tried.is_empty());
}

#[tokio::test]
async fn a_person_who_says_no_ends_the_sign_in() {
    let counter = Counter::open().await;
    let page = counter.begin().await;

    // Back too early is no answer.
    let early = counter.come_back(&page.back("1")).await;
    assert!(String::from_utf8_lossy(&early.body).contains("still waits for the keys"));
    assert_eq!(counter.row().await["state"], "signing_in");
    for _ in 0..2 {
        let back = counter.come_back(&page.back("0")).await;
        let text = String::from_utf8(back.body.to_vec()).unwrap();
        assert!(text.contains("access was not allowed on its page"), "{text}");
    }

    let row = counter.row().await;
    assert_eq!(row["state"], "needs_sign_in");
    let why = row["why"].as_str().unwrap();
    assert!(why.starts_with("Access was not allowed on its page. Sign in again"), "{why}");
    assert_unknown(&counter.hand_over(&page.keys(&counter.shop.keys())).await);
}

#[tokio::test]
async fn keys_of_another_shop_are_refused_by_the_shop_and_replace_none() {
    let counter = Counter::open().await;
    let page = counter.begin().await;
    let own = counter.shop.keys();
    counter.hand_over(&page.keys(&own)).await;
    counter.account().await;
    let other = Shop::open().await;
    let foreign = (format!("ck_{:040x}", 77), format!("cs_{:040x}", 77));
    other.books().good.insert(foreign.clone());

    let page = counter.begin().await;
    let answer = counter.hand_over(&page.keys(&foreign)).await;

    // Whoever made them takes them back.
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let back = counter.come_back(&page.back("1")).await;
    assert!(String::from_utf8_lossy(&back.body).contains("could not be taken"));
    assert!(other.books().tried.is_empty());
    assert_eq!(counter.row().await["state"], "ready");
    let checked = counter.app.post(&counter.path("/check"), json!({})).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.json());

    // Where there were none before, it is said why there are none now.
    let second =
        Counter { connection: connection(&counter.app, &counter.shop.url).await, ..counter };
    let page = second.begin().await;
    second.hand_over(&page.keys(&foreign)).await;
    let row = second.row().await;
    assert_eq!(row["state"], "needs_sign_in");
    let why = row["why"].as_str().unwrap();
    assert!(why.starts_with("The keys that were sent could not be taken: 127.0.0.1"), "{why}");
}

#[tokio::test]
async fn what_has_not_the_form_of_keys_is_not_kept() {
    let counter = Counter::open().await;
    for keys in [
        ("ck_1".to_owned(), "cs_1\r\nx: y".to_owned()),
        ("sk_1".to_owned(), "cs_1".to_owned()),
        ("ck_1".to_owned(), String::new()),
        (format!("ck_{}", "1".repeat(5_000)), "cs_1".to_owned()),
    ] {
        counter.shop.books().good.insert(keys.clone());
        let page = counter.begin().await;

        let answer = counter.hand_over(&page.keys(&keys)).await;

        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let row = counter.row().await;
        assert_eq!(row["state"], "needs_sign_in");
        assert!(row["why"].as_str().unwrap().contains("that fits came"), "{row}");
        counter.shop.take_back(&keys);
    }
    assert!(counter.shop.books().tried.is_empty());
}

#[tokio::test]
async fn keys_are_sent_to_the_shop_for_which_they_were_asked_alone() {
    let counter = Counter::open().await;
    let other = Shop::open().await;
    let page = counter.begin().await;
    // While the person reads the shop's page.
    let elsewhere = other.url.replace("127.0.0.1", "localhost");
    let settings = json!({ "settings": { "url": elsewhere } });
    let changed = counter.app.patch(&counter.path(""), settings).await;
    assert_eq!(changed.status, StatusCode::OK);

    let answer = counter.hand_over(&page.keys(&counter.shop.keys())).await;

    // The sign-in has ended with the change: there is nothing to post to.
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(other.books().tried.is_empty());
    let why = counter.row().await["why"].as_str().unwrap().to_owned();
    assert!(why.contains("the settings lead to another host by now"), "{why}");
}

#[tokio::test]
async fn without_a_lasting_address_nobody_is_sent_to_the_shop() {
    let app = TestApp::start().await;
    let shop = Shop::open().await;
    let id = connection(&app, &shop.url).await;
    let refused = app.post(&format!("/api/connections/{id}/authorize"), json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let said = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("public https address, and there is none"), "{said}");
    let request = Request::post("/oauth/callback").body("{}".into()).unwrap();
    assert_unknown(&app.knock(request).await);
}

#[cfg(unix)]
#[tokio::test]
async fn an_address_that_changes_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("cloudflared");
    let text = "#!/bin/sh\necho '|  https://some-words.trycloudflare.com  |' >&2\nexec sleep 60\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let app = TestApp::with(Options { path, ..Options::default() }).await;
    reached(&app, json!({ "kind": "cloudflared-quick" })).await;
    let shop = Shop::open().await;
    let id = connection(&app, &shop.url).await;

    let refused = app.post(&format!("/api/connections/{id}/authorize"), json!({})).await;

    app.engine.stop().await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let said = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("an address that stays"), "{said}");
}
