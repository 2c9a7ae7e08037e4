//! The shop from outside, over HTTP, as an app meets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use expect_test::expect;
use jiff::Timestamp;
use reqwest::{Client, Response, redirect};
use sandbox::{Faults, Options, Rate, Sandbox};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use url::Url;

const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-rule-of-43";
const REDIRECT: &str = "http://127.0.0.1:1/oauth/callback";

/// A shop on a clock that stands still, which an app may call as often as it likes.
fn options() -> Options {
    Options {
        clock: Arc::new(|| "2026-03-02T09:00:00Z".parse().unwrap()),
        orders_per_minute: 0,
        history_orders: 60,
        rate: Rate { size: 100_000, per_second: 100_000.0 },
        webhook_retries: vec![Duration::from_millis(10); 3],
        webhooks_at_once: 1,
        ..Options::default()
    }
}

struct Shop {
    sandbox: Sandbox,
    client: Client,
    token: String,
}

impl Shop {
    async fn open(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let client =
            Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        let mut shop = Self { sandbox, client, token: String::new() };
        shop.token = text(&shop.sign_in().await["access_token"]);
        shop
    }

    fn authorize_url(&self) -> Url {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = [
            ("response_type", "code"),
            ("client_id", "patchbay"),
            ("redirect_uri", REDIRECT),
            ("state", "s 1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("scope", "orders products"),
        ];
        let base = format!("{}/oauth/authorize", self.sandbox.url());
        Url::parse_with_params(&base, query).unwrap()
    }

    async fn decide(&self, decision: &str) -> Url {
        let answer = self
            .client
            .post(self.authorize_url())
            .form(&[("decision", decision)])
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        answer.headers()["location"].to_str().unwrap().parse().unwrap()
    }

    async fn code(&self) -> String {
        query(&self.decide("allow").await, "code").unwrap()
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = format!("{}/oauth/token", self.sandbox.url());
        read(self.client.post(url).form(form).send().await.unwrap()).await
    }

    async fn spend(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", "patchbay"),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ])
        .await
    }

    async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        let token = text(&tokens["refresh_token"]);
        self.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", &token),
            ("client_id", "patchbay"),
        ])
        .await
    }

    async fn sign_in(&self) -> Value {
        let (status, tokens) = self.spend(&self.code().await, VERIFIER).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    async fn response(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.sandbox.url());
        self.client.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let (status, value) = read(self.response(path).await).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.sandbox.control_url());
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request.bearer_auth(self.sandbox.control_token()).json(&body);
        read(request.send().await.unwrap()).await
    }

    async fn make(&self, count: u32) {
        let (status, _) = self.control("POST", "/control/orders", json!({ "count": count })).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    }

    async fn faults(&self, faults: Value) {
        let (status, answer) = self.control("PATCH", "/control", json!({ "faults": faults })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// All items of a list, page by page.
    async fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}limit={limit}{cursor}")).await;
            items.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    async fn webhook(&self, url: &str, events: &[&str]) -> Value {
        let request = self.client.post(format!("{}/api/webhooks", self.sandbox.url()));
        let body = json!({ "url": url, "events": events });
        let answer = request.bearer_auth(&self.token).json(&body).send().await.unwrap();
        let (status, webhook) = read(answer).await;
        assert_eq!(status, StatusCode::CREATED, "{webhook}");
        webhook
    }
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().into()
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].to_string()).collect()
}

type Delivery = (HeaderMap, Bytes);

/// Somebody who receives webhooks and refuses the first `refusals`.
struct Receiver {
    url: String,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Receiver {
    async fn start(refusals: i64) -> Self {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let state = (sender, Arc::new(AtomicI64::new(refusals)));
        let routes = Router::new().fallback(take).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/x", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, deliveries }
    }

    async fn next(&mut self) -> Delivery {
        let wait = Duration::from_secs(20);
        tokio::time::timeout(wait, self.deliveries.recv()).await.unwrap().unwrap()
    }

    async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.next().await.0["webhook-id"].to_str().unwrap().to_owned());
        }
        ids
    }
}

async fn take(
    State((sender, refusals)): State<(mpsc::UnboundedSender<Delivery>, Arc<AtomicI64>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    sender.send((headers, body)).unwrap();
    if refusals.fetch_sub(1, Ordering::SeqCst) > 0 {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

#[tokio::test]
async fn the_same_seed_makes_the_same_orders() {
    let one = Shop::open(options()).await;
    let other = Shop::open(options()).await;
    one.make(3).await;
    other.make(3).await;

    let orders = one.all("/api/orders?", 250).await;

    assert_eq!(orders, other.all("/api/orders?", 250).await);
    assert_eq!(one.all("/api/events?", 250).await, other.all("/api/events?", 250).await);
    let first = &orders[0];
    expect![[r##"
        {
          "id": 5000000001,
          "number": "#1001",
          "created_at": "2025-12-02T09:00:00.000540Z",
          "updated_at": "2025-12-02T09:00:00.000540Z",
          "status": "paid",
          "currency": "EUR",
          "total": "32.80",
          "customer": {
            "id": 70161,
            "name": "Grace Costa",
            "email": "customer-161@shop.example"
          },
          "lines": [
            {
              "sku": "CND-BLU",
              "title": "Beeswax candle, blue",
              "quantity": 2,
              "price": "16.40"
            }
          ],
          "ship_to": {
            "street": "20 High Street",
            "postcode": "4000-001",
            "city": "Porto",
            "country": "PT"
          },
          "note": null
        }"##]]
    .assert_eq(&serde_json::to_string_pretty(first).unwrap());
    let summary: Vec<_> = orders
        .iter()
        .take(6)
        .map(|order| {
            format!("{} {} {} {}", order["id"], order["number"], order["total"], order["status"])
        })
        .collect();
    expect![[r##"
        5000000001 "#1001" "32.80" "paid"
        5000000002 "#1002" "161.80" "fulfilled"
        5000000003 "#1003" "72.40" "fulfilled"
        9007199254740999 "#1004" "25.00" "fulfilled"
        5000000005 "#1005" "193.00" "paid"
        5000000006 "#1006" "7.90" "fulfilled""##]]
    .assert_eq(&summary.join("\n"));
}

#[tokio::test]
async fn another_seed_makes_other_orders() {
    let one = Shop::open(options()).await;
    let other = Shop::open(Options { seed: 2, ..options() }).await;

    assert_ne!(one.all("/api/orders?", 250).await, other.all("/api/orders?", 250).await);
}

#[tokio::test]
async fn the_consent_page_says_what_it_is_and_runs_no_script() {
    let shop = Shop::open(options()).await;
    let mut url = shop.authorize_url();
    url.query_pairs_mut().append_pair("scope", "x");
    let url = url.as_str().replace("client_id=patchbay", "client_id=%3Cscript%3E");

    let answer = shop.client.get(url).send().await.unwrap();

    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let page = answer.text().await.unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("form-action 'self' http://127.0.0.1:1;"), "{policy}");
    assert!(page.contains("Sandbox: a pretend shop on this computer"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
}

#[tokio::test]
async fn a_consent_that_is_denied_goes_back_with_the_reason() {
    let shop = Shop::open(options()).await;

    let back = shop.decide("deny").await;

    assert!(back.as_str().starts_with(REDIRECT));
    assert_eq!(query(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&back, "state").as_deref(), Some("s 1"));
    assert_eq!(query(&back, "code"), None);
}

#[tokio::test]
async fn nobody_is_sent_to_another_computer() {
    let shop = Shop::open(options()).await;
    let url = shop.authorize_url().as_str().replace("127.0.0.1%3A1", "shop.example");

    let answer = shop.client.get(url).send().await.unwrap();

    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.headers().get("location").is_none());
}

#[tokio::test]
async fn a_wrong_verifier_gets_no_token() {
    let shop = Shop::open(options()).await;
    let code = shop.code().await;

    let (status, answer) = shop.spend(&code, &VERIFIER.replace('a', "b")).await;

    assert_eq!((status, text(&answer["error"])), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
}

#[tokio::test]
async fn a_code_is_good_once() {
    let shop = Shop::open(options()).await;
    let code = shop.code().await;
    assert_eq!(shop.spend(&code, VERIFIER).await.0, StatusCode::OK);

    let (status, answer) = shop.spend(&code, VERIFIER).await;

    assert_eq!((status, text(&answer["error"])), (StatusCode::BAD_REQUEST, "invalid_grant".into()));
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_sign_in() {
    let mut shop = Shop::open(options()).await;
    let first = shop.sign_in().await;
    let (status, second) = shop.refresh(&first).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(second["expires_in"], 3600);
    shop.token = text(&second["access_token"]);
    assert_eq!(shop.response("/api/me").await.status(), StatusCode::OK);

    assert_eq!(shop.refresh(&first).await.0, StatusCode::BAD_REQUEST);

    assert_eq!(shop.response("/api/me").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(shop.refresh(&second).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tokens_that_are_made_to_expire_can_be_refreshed() {
    let mut shop = Shop::open(options()).await;
    let tokens = shop.sign_in().await;
    shop.token = text(&tokens["access_token"]);

    let (status, _) = shop.control("POST", "/control/expire-tokens", json!({})).await;

    assert_eq!(status, StatusCode::NO_CONTENT);
    let refused = shop.response("/api/me").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers().contains_key("www-authenticate"));
    shop.token = text(&shop.refresh(&tokens).await.1["access_token"]);
    assert_eq!(shop.get("/api/me").await["name"], "Sandbox shop");
}

#[tokio::test]
async fn pages_are_complete_while_orders_are_made() {
    let shop = Shop::open(options()).await;
    let before: BTreeSet<_> = ids(&shop.all("/api/orders?", 250).await).into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut cursor = String::new();

    loop {
        let page = shop.get(&format!("/api/orders?limit=7{cursor}")).await;
        assert_eq!(page["total"], 60);
        seen.extend(ids(page["data"].as_array().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        if seen.len() < 100 {
            shop.make(2).await;
        }
    }

    let after: BTreeSet<_> = ids(&shop.all("/api/orders?", 250).await).into_iter().collect();
    assert!(before.len() == 60 && after.len() > 60);
    assert_eq!(seen, after);
}

#[tokio::test]
async fn updated_since_is_inclusive() {
    let shop = Shop::open(options()).await;
    let orders = shop.all("/api/orders?", 250).await;
    let since = text(&orders[41]["updated_at"]);

    let later = shop.all(&format!("/api/orders?updated_since={since}&"), 5).await;

    assert_eq!(ids(&later), ids(&orders[41..]));
}

#[tokio::test]
async fn answers_carry_the_shops_own_time() {
    let shop = Shop::open(options()).await;

    let answer = shop.response("/api/orders").await;

    assert_eq!(answer.headers()["date"], "Mon, 02 Mar 2026 09:00:00 GMT");
}

#[tokio::test]
async fn products_come_by_page_number() {
    let shop = Shop::open(options()).await;
    let mut seen = Vec::new();

    for page in 1..=3 {
        let answer = shop.get(&format!("/api/products?limit=50&page={page}")).await;
        assert_eq!((&answer["pages"], &answer["total"]), (&json!(3), &json!(120)));
        seen.extend(ids(answer["data"].as_array().unwrap()));
    }

    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(shop.get("/api/products?page=4").await["data"], json!([]));
}

#[tokio::test]
async fn one_item_is_found_by_its_id_even_beyond_doubles() {
    let shop = Shop::open(options()).await;
    let orders = shop.all("/api/orders?", 250).await;
    let beyond = orders.iter().filter(|order| order["id"].as_u64() > Some(1 << 53));
    assert!(beyond.clone().count() > 5);

    for order in beyond.chain([&orders[0]]) {
        assert_eq!(&shop.get(&format!("/api/orders/{}", order["id"])).await, order);
    }
    let mug = shop.get("/api/stock/MUG-BLU").await;
    assert_eq!(mug["sku"], "MUG-BLU");
    assert_eq!(shop.response("/api/orders/1").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let shop = Shop::open(options()).await;
    let cases = [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("cursor=abc", "cursor"),
        ("updated_since=yesterday", "updated_since"),
    ];

    for (query, name) in cases {
        let (status, answer) = read(shop.response(&format!("/api/orders?{query}")).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(text(&answer["error"]["message"]).contains(name), "{answer}");
    }
}

#[tokio::test]
async fn the_budget_is_told_and_kept() {
    let rate = Rate { size: 3, per_second: 0.001 };
    let shop = Shop::open(Options { rate, ..options() }).await;
    for left in ["2", "1", "0"] {
        let answer = shop.response("/api/me").await;
        assert_eq!(answer.headers()["x-ratelimit-limit"], "3");
        assert_eq!(answer.headers()["x-ratelimit-remaining"], left);
    }

    let refused = shop.response("/api/me").await;

    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1000");
    assert_eq!(refused.headers()["x-ratelimit-reset"], "3000");
}

#[tokio::test]
async fn webhooks_are_signed_and_listed_as_events() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    let webhook = shop.webhook(&receiver.url, &["order.created"]).await;

    shop.make(1).await;

    let (headers, body) = receiver.next().await;
    let signer = standardwebhooks::Webhook::new(&text(&webhook["secret"])).unwrap();
    signer.verify(&body, &headers).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let events = shop.all("/api/events?", 250).await;
    let mut event = events.iter().find(|event| event["type"] == "order.created").unwrap().clone();
    assert_eq!(event["id"], headers["webhook-id"].to_str().unwrap());
    event.as_object_mut().unwrap().remove("id");
    assert_eq!(event, body);
    assert_eq!(body["data"], shop.get(&format!("/api/orders/{}", body["data"]["id"])).await);
}

#[tokio::test]
async fn a_webhook_that_is_not_taken_comes_again_with_the_same_id() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(2).await;
    shop.webhook(&receiver.url, &["order.created"]).await;

    shop.make(1).await;

    let ids = receiver.ids(3).await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    shop.make(1).await;
    assert_ne!(receiver.ids(1).await[0], ids[0]);
}

#[tokio::test]
async fn a_deleted_webhook_is_not_called() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    let gone = shop.webhook(&receiver.url, &["order.created"]).await;
    let url = format!("{}/api/webhooks/{}", shop.sandbox.url(), gone["id"].as_str().unwrap());
    let answer = shop.client.delete(url).bearer_auth(&shop.token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let kept = shop.webhook(&receiver.url, &["order.created"]).await;
    let listed = shop.get("/api/webhooks").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert!(listed["data"][0].get("secret").is_none());

    shop.make(1).await;

    let (headers, body) = receiver.next().await;
    let signer = standardwebhooks::Webhook::new(&text(&kept["secret"])).unwrap();
    signer.verify(&body, &headers).unwrap();
    shop.make(1).await;
    assert_ne!(receiver.next().await.0["webhook-id"], headers["webhook-id"]);
}

#[tokio::test]
async fn a_webhook_needs_an_address_and_events_that_exist() {
    let shop = Shop::open(options()).await;
    let url = format!("{}/api/webhooks", shop.sandbox.url());
    let wrong = [
        json!({ "url": "ftp://127.0.0.1/", "events": ["order.created"] }),
        json!({ "url": "http://127.0.0.1/", "events": ["order.eaten"] }),
        json!({ "url": "http://127.0.0.1/", "events": [] }),
        json!({ "url": "http://127.0.0.1/" }),
    ];

    for body in wrong {
        let request = shop.client.post(&url).bearer_auth(&shop.token).json(&body);
        let (status, answer) = read(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    }
}

#[tokio::test]
async fn half_of_the_webhooks_are_dropped_at_a_half() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    shop.webhook(&receiver.url, &["order.created"]).await;
    shop.faults(json!({ "drop": 0.5 })).await;

    shop.make(40).await;

    let arrived = loop {
        let (_, state) = shop.control("GET", "/control", json!({})).await;
        let count = |name: &str| usize::try_from(state[name].as_u64().unwrap()).unwrap();
        if count("delivered") + count("dropped") == 40 {
            break count("delivered");
        }
        tokio::task::yield_now().await;
    };
    assert!((10..=30).contains(&arrived), "{arrived}");
    receiver.ids(arrived).await;
    assert!(receiver.deliveries.try_recv().is_err());
}

#[tokio::test]
async fn all_webhooks_are_dropped_at_one() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    shop.webhook(&receiver.url, &["order.created"]).await;
    shop.faults(json!({ "drop": 1 })).await;
    shop.make(5).await;
    while shop.control("GET", "/control", json!({})).await.1["dropped"] != 5 {
        tokio::task::yield_now().await;
    }
    shop.faults(json!({ "drop": 0 })).await;

    shop.make(1).await;

    let orders = shop.all("/api/orders?", 250).await;
    let (_, body) = receiver.next().await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["data"]["number"], "#1066");
    assert_eq!(orders.len(), 66);
}

#[tokio::test]
async fn duplicates_carry_the_same_id() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    shop.webhook(&receiver.url, &["order.created"]).await;
    shop.faults(json!({ "duplicate": 1 })).await;

    shop.make(2).await;

    let ids = receiver.ids(4).await;
    assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]));
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn reordered_webhooks_swap_places() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    shop.webhook(&receiver.url, &["order.created"]).await;
    shop.faults(json!({ "reorder": 1 })).await;

    shop.make(4).await;

    let mut numbers = Vec::new();
    for _ in 0..4 {
        let body: Value = serde_json::from_slice(&receiver.next().await.1).unwrap();
        numbers.push(text(&body["data"]["number"]));
    }
    assert_eq!(numbers, ["#1062", "#1061", "#1064", "#1063"]);
}

#[tokio::test]
async fn delays_hold_webhooks_and_answers_up() {
    let shop = Shop::open(options()).await;
    let mut receiver = Receiver::start(0).await;
    shop.webhook(&receiver.url, &["order.created"]).await;
    shop.faults(json!({ "delay_ms": 150, "slow_ms": 120 })).await;
    let began = std::time::Instant::now();

    shop.make(1).await;
    receiver.next().await;
    let webhook_took = began.elapsed();
    let began = std::time::Instant::now();
    shop.get("/api/me").await;

    assert!(webhook_took >= Duration::from_millis(150), "{webhook_took:?}");
    assert!(began.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn the_api_stumbles_as_it_is_told() {
    let shop = Shop::open(options()).await;

    shop.faults(json!({ "answer_500": 1 })).await;
    assert_eq!(shop.response("/api/me").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    shop.faults(json!({ "answer_429": 1 })).await;
    let refused = shop.response("/api/me").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    shop.faults(json!({ "answer_500": 0, "answer_429": 0 })).await;
    assert_eq!(shop.response("/api/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_control_asks_for_its_own_token() {
    let shop = Shop::open(options()).await;
    let url = format!("{}/control", shop.sandbox.control_url());

    let without = shop.client.get(&url).send().await.unwrap();
    let with_another = shop.client.get(&url).bearer_auth(&shop.token).send().await.unwrap();
    let at_the_shop = shop.response("/control").await;

    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(with_another.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(at_the_shop.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_control_refuses_what_it_does_not_know() {
    let shop = Shop::open(options()).await;
    let wrong = [
        json!({ "faults": { "drop": 2 } }),
        json!({ "faults": { "explode": 1 } }),
        json!({ "orders_per_minute": 6001 }),
        json!({ "orders": 1 }),
    ];

    for body in wrong {
        let (status, answer) = shop.control("PATCH", "/control", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    }
    let (_, state) = shop.control("GET", "/control", json!({})).await;
    assert_eq!(state["faults"], serde_json::to_value(Faults::default()).unwrap());
}

#[tokio::test]
async fn orders_are_made_by_themselves_while_somebody_is_signed_in() {
    let clock = Arc::new(Timestamp::now);
    let shop = Shop::open(Options { orders_per_minute: 6_000, clock, ..options() }).await;
    let mut receiver = Receiver::start(0).await;

    shop.webhook(&receiver.url, &["order.created"]).await;

    assert_eq!(receiver.ids(3).await.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn a_foreign_host_name_is_turned_away() {
    let shop = Shop::open(options()).await;
    let url = format!("{}/oauth/authorize", shop.sandbox.url());

    let answer = shop.client.get(url).header("host", "shop.example").send().await.unwrap();

    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_stopped_shop_is_closed() {
    let shop = Shop::open(options()).await;
    let url = shop.sandbox.url();

    shop.sandbox.stop().await;

    let client = Client::builder().no_proxy().build().unwrap();
    assert!(client.get(url).send().await.is_err());
}

#[tokio::test]
async fn a_shop_that_opens_again_is_the_same_shop() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { journal: Some(dir.path().join("shop.jsonl")), ..options() };
    let first = Shop::open(options()).await;
    first.make(5).await;
    let (orders, events) =
        (first.all("/api/orders?", 50).await, first.all("/api/events?", 50).await);
    let (client, token) = (first.client.clone(), first.token.clone());
    first.sandbox.stop().await;

    let sandbox = Sandbox::start(Options { seed: 99, ..options() }).await.unwrap();
    let again = Shop { sandbox, client, token };

    assert_eq!(again.all("/api/orders?", 50).await, orders);
    assert_eq!(again.all("/api/events?", 50).await, events);
    again.make(1).await;
    assert_eq!(again.all("/api/orders?", 50).await.len(), orders.len() + 1);
}
