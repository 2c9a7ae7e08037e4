//! A provider that says again what it was sent, in every way an error can: nobody gets to read it.

use std::path::Path;

use axum::Router;
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::TestApp;
use crate::app::Options;

const TOKEN: &str = "canary/9f8e7d6c+5b4a3210==";

const CONNECTOR: &str = "
format: 1
id: echo
name: Echo
status: documented
settings: { url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.url }}'
auth: [{ header_token: { header: authorization, prefix: 'Bearer ' } }]
check: { get: /plain, account: .name }
errors: { message: .error }
streams:
  plain: { get: /plain, records: .data, key: .id }
  encoded: { get: /encoded, records: .data, key: .id }
  cut: { get: /cut, records: .data, key: .id }
  quoted: { get: /quoted, records: '.data | error', key: .id }
  link: { get: /link, records: .data, key: .id, page: { next_url: .next } }
";

async fn answer(uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    use base64::Engine as _;
    let sent = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()).unwrap_or("");
    let token = sent.strip_prefix("Bearer ").unwrap_or(sent);
    let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let base64 = base64::prelude::BASE64_STANDARD.encode(format!("me:{token}"));
    let (status, body) = match uri.path() {
        "/encoded" => (400, json!({ "error": format!("no ?token={encoded} nor {base64}") })),
        // Its end lies beyond what is shown.
        "/cut" => (400, json!({ "error": format!("{}{token}", "x".repeat(285)) })),
        "/quoted" => (200, json!({ "data": format!("Invalid token: {sent}") })),
        "/link" => {
            let next = format!("http://[{token}/?token={encoded}");
            (200, json!({ "data": [{ "id": 1 }], "next": next }))
        }
        _ => (400, json!({ "error": format!("Invalid token: {sent}") })),
    };
    (StatusCode::from_u16(status).unwrap_or_default(), body.to_string())
}

async fn provider() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

/// Every file below `folder` as bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            found.push((entry.path().display().to_string(), bytes));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_provider_says_again_is_shown_and_stored_nowhere() {
    let connectors = vec![("echo", CONNECTOR.to_owned())];
    let app = TestApp::with(Options { connectors, ..Options::default() }).await;
    let made = app
        .post(
            "/api/connections",
            json!({
                "connector": "echo", "name": "Echo",
                "settings": { "url": provider().await }, "secrets": { "token": TOKEN },
            }),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let id = made.json()["id"].as_str().unwrap().to_owned();

    let check = app.post(&format!("/api/connections/{id}/check"), json!({})).await.json();
    let mut answers = vec![check];
    for stream in ["plain", "encoded", "cut", "quoted", "link"] {
        let request = json!({ "connection": id, "stream": stream, "schedule": null });
        let sync = app.post("/api/syncs", request).await.json();
        let runs = format!("/api/sync-runs?sync={}", sync["id"].as_str().unwrap());
        let failed = app
            .until("the end of the run", async |app| {
                let runs = app.read(&runs).await;
                (runs["sync_runs"][0]["state"] == "failed").then_some(runs)
            })
            .await;
        answers.push(failed);
    }

    let shown = Value::Array(answers).to_string();
    assert!(shown.contains("Invalid token: Bearer [secret:"), "{shown}");
    let canary =
        |text: &[u8]| text.windows(8).any(|part| part == b"canary/9" || part == b"canary%2");
    assert!(!canary(shown.as_bytes()), "{shown}");
    for (name, bytes) in files(&app.data()) {
        assert!(!canary(&bytes), "{name}");
    }
}
