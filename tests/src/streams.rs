//! Streams that are more than pages, against the shop: what has not changed, lines of orders, an
//! export, a journal.

use http::StatusCode;
use serde_json::{Value, json};

use crate::TestApp;
use crate::app::Options;

const CONNECTOR: &str = "
format: 1
id: till
name: Till
status: documented
settings: { url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.url }}'
auth: [{ header_token: { prefix: 'Bearer ' } }]
check: { get: /api/me, account: .name }
limit: { retry_after: seconds }
streams:
  orders:
    get: /api/orders
    query: { limit: 50 }
    records: .data
    key: .id
    version: .updated_at
    page: { cursor: { param: cursor, at: .next_cursor } }
    since: { param: updated_since, field: .updated_at }
  lines:
    parent: { stream: orders, changed: true }
    get: '/api/orders/{{ parent.id }}/lines'
    records: .data
    add: { order: '{{ parent.id }}' }
    key: [.order, .line]
  catalogue: { get: /api/catalogue, answer: jsonl, records: ., key: .id, conditional: true, deletions: sweep }
  export:
    job:
      create: { post: /api/exports, json: { of: customers } }
      id: .id
      poll: { get: '/api/exports/{{ job.id }}' }
      every: 1s
      done: .state == \"ready\"
      urls: .urls
      cancel: { delete: '/api/exports/{{ job.id }}' }
    answer: jsonl
    records: .
    key: .id
    deletions: sweep
  journal:
    journal: { first: { get: /api/journal }, next: { get: '/api/journal/{{ offset }}/next' }, offset: .offset, url: .url }
    answer: jsonl
    records: .
    key: .id
";

/// Of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An access token of the shop, as an app gets it.
async fn token(shop: &str) -> String {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    let back = "http://127.0.0.1:9/back";
    let asked = format!(
        "{shop}/oauth/authorize?response_type=code&client_id=till&state=s&scope=orders\
         &redirect_uri={back}&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let sent = client.post(asked).form(&[("decision", "allow")]).send().await.unwrap();
    let location: url::Url = sent.headers()["location"].to_str().unwrap().parse().unwrap();
    let code = location.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("client_id", "till"),
        ("redirect_uri", back),
        ("code_verifier", VERIFIER),
    ];
    let answer = client.post(format!("{shop}/oauth/token")).form(&form).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

struct Desk {
    app: TestApp,
    connection: String,
}

impl Desk {
    async fn start() -> Self {
        let shop = sandbox::Options {
            orders_per_minute: 0,
            history_orders: 12,
            ..sandbox::Options::default()
        };
        let connectors = vec![("till", CONNECTOR.trim_start().to_owned())];
        let options = Options { shop: Some(shop), connectors, ..Options::default() };
        let app = TestApp::with(options).await;
        let url = app.shop.as_ref().unwrap().url();
        let request = json!({ "connector": "till", "name": "Till", "settings": { "url": url },
            "secrets": { "token": token(&url).await } });
        let made = app.post("/api/connections", request).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let connection = made.json()["id"].as_str().unwrap().to_owned();
        Self { app, connection }
    }

    /// The end of the first run of a stream, and the id of its sync.
    async fn first(&self, stream: &str) -> (String, Value) {
        let request = json!({ "connection": self.connection, "stream": stream });
        let made = self.app.post("/api/syncs", request).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let run = self.ended(&id, 1).await;
        (id, run)
    }

    async fn again(&self, sync: &str, number: usize) -> Value {
        self.app.post(&format!("/api/syncs/{sync}/run"), json!({})).await;
        self.ended(sync, number).await
    }

    /// The run of this number, from 1, once it has ended.
    async fn ended(&self, sync: &str, number: usize) -> Value {
        let path = format!("/api/syncs/{sync}");
        self.app
            .until("the end of a run", async |app| {
                let runs = app.read(&path).await["runs"].as_array().unwrap().clone();
                let run = runs.iter().rev().nth(number - 1)?.clone();
                (run["state"] != "running").then_some(run)
            })
            .await
    }

    async fn shop_sells(&self, count: u32) {
        let shop = self.app.shop.as_ref().unwrap();
        let client = reqwest::Client::new();
        let request = client.post(format!("{}/control/orders", shop.control_url()));
        let request = request.bearer_auth(shop.control_token());
        let request = request.header("content-type", "application/json");
        let sold = request.body(json!({ "count": count }).to_string()).send().await.unwrap();
        assert_eq!(sold.status(), 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_has_not_changed_is_not_read_again() {
    let desk = Desk::start().await;
    let (sync, first) = desk.first("catalogue").await;
    assert_eq!(first["state"], "done", "{first}");
    assert!(first["inserted"].as_u64().unwrap() > 10, "{first}");

    let same = desk.again(&sync, 2).await;

    assert_eq!((&same["state"], &same["records"]), (&json!("done"), &json!(0)));
    assert_eq!(same["note"], "Till says that nothing has changed since the last run.");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_read_of_the_orders_that_are_new() {
    let desk = Desk::start().await;
    let (sync, first) = desk.first("lines").await;
    assert_eq!(first["state"], "done", "{first}");
    let before = desk.app.read("/api/records/count?stream=lines").await["count"].as_u64().unwrap();
    assert!(before >= 12, "{before}");

    // The newest comes once more, since the bound is inclusive, and is known to be the same.
    let same = desk.again(&sync, 2).await;
    assert_eq!((&same["state"], &same["records"]), (&json!("done"), &json!(0)));

    desk.shop_sells(1).await;
    let run = desk.again(&sync, 3).await;
    assert_eq!(run["state"], "done", "{run}");
    assert!((1..=3).contains(&run["inserted"].as_u64().unwrap()), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_and_a_journal_are_read_to_their_end() {
    let desk = Desk::start().await;
    desk.shop_sells(60).await;

    let (_, journal) = desk.first("journal").await;
    assert_eq!(journal["state"], "done", "{journal}");
    assert!(journal["pages"].as_u64().unwrap() >= 3, "{journal}");
    let events = desk.app.read("/api/records/count?stream=journal").await["count"].clone();
    assert_eq!(journal["inserted"], events);
    assert!(events.as_u64().unwrap() > 120, "{events}");

    let request = json!({ "connection": desk.connection, "stream": "export" });
    let made = desk.app.post("/api/syncs", request).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    desk.app
        .until("the export being made", async |app| {
            let sync = app.read(&format!("/api/syncs/{id}")).await;
            (sync["state"] == "waiting").then_some(())
        })
        .await;
    desk.app.clock.advance(jiff::SignedDuration::from_secs(2));
    let export = desk.ended(&id, 1).await;
    assert_eq!(export["state"], "done", "{export}");
    assert!(export["inserted"].as_u64().unwrap() > 10, "{export}");
}
