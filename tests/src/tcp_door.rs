//! The lock of the management listener, over TCP.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::TestApp;
use crate::socket::{Reply, exchange};

/// The application behind its lock.
struct Door {
    _app: TestApp,
    address: SocketAddr,
    token: String,
}

impl Door {
    async fn open() -> Self {
        let app = TestApp::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = api::door::lock(app.router(), app.logins.clone(), address);
        tokio::spawn(api::door::serve(listener, router, CancellationToken::new()));
        let token = app.logins.token().expose().to_owned();
        Self { _app: app, address, token }
    }

    /// Asks with exactly these headers.
    async fn ask(&self, line: &str, headers: &[&str]) -> Reply {
        let line = format!("{line} HTTP/1.1");
        let headers: Vec<_> = headers
            .iter()
            .map(|header| {
                header.replace("HOST", &self.address.to_string()).replace("TOKEN", &self.token)
            })
            .collect();
        let head: Vec<_> =
            std::iter::once(line.as_str()).chain(headers.iter().map(String::as_str)).collect();
        exchange(self.address, &head, "").await
    }
}

#[tokio::test]
async fn without_the_right_token_there_is_an_envelope_and_nothing_else() {
    let door = Door::open().await;
    for headers in [
        &["host: HOST"][..],
        &["host: HOST", "authorization: Bearer wrong"],
        &["host: HOST", "authorization: Bearer "],
        &["host: HOST", "authorization: Basic TOKEN"],
        &["host: HOST", "authorization: Bearer TOKEN", "authorization: Bearer wrong"],
        &["host: HOST", "cookie: token=TOKEN"],
    ] {
        for line in ["GET /api/settings", "GET /api/nothing", "POST /api/inboxes", "GET /api"] {
            let reply = door.ask(line, headers).await;
            let body: Value = serde_json::from_str(reply.body()).unwrap();
            assert_eq!(reply.status, 401, "{line} {headers:?}");
            assert_eq!(body["error"]["code"], "unauthorized");
            assert_eq!(body.as_object().unwrap().len(), 1);
        }
    }

    let right = door.ask("GET /api/settings", &["host: HOST", "authorization: Bearer TOKEN"]).await;

    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn a_token_in_the_address_is_no_token() {
    let door = Door::open().await;
    let line = format!("GET /api/settings?token={0}&access_token={0}", door.token);

    assert_eq!(door.ask(&line, &["host: HOST"]).await.status, 401);
}

#[tokio::test]
async fn pages_and_health_are_free() {
    let door = Door::open().await;

    for path in ["/", "/events", "/api/health"] {
        assert_eq!(door.ask(&format!("GET {path}"), &["host: HOST"]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_foreign_host_or_origin_gets_nothing_from_any_route() {
    let door = Door::open().await;
    let port = door.address.port();
    let localhost = format!("host: localhost:{port}");
    let other_port = format!("host: 127.0.0.1:{}", port ^ 1);
    let own_origin = format!("origin: http://127.0.0.1:{port}");
    let other_origin = format!("origin: http://127.0.0.1:{}", port ^ 1);

    for path in ["/", "/api/health", "/api/settings"] {
        let line = format!("GET {path}");
        let ask = async |headers: &[&str]| {
            let token = "authorization: Bearer TOKEN";
            door.ask(&line, &[headers, &[token]].concat()).await.status
        };
        assert_eq!(ask(&["host: HOST"]).await, 200, "{path}");
        assert_eq!(ask(&[&localhost]).await, 200, "{path}");
        assert_eq!(ask(&["host: HOST", &own_origin]).await, 200, "{path}");

        assert_eq!(ask(&["host: evil.example"]).await, 403, "{path}");
        assert_eq!(ask(&["host: 127.0.0.1"]).await, 403, "{path}");
        assert_eq!(ask(&[&other_port]).await, 403, "{path}");
        assert_eq!(ask(&["host: HOST", "origin: http://evil.example"]).await, 403, "{path}");
        assert_eq!(ask(&["host: HOST", "origin: null"]).await, 403, "{path}");
        assert_eq!(ask(&["host: HOST", &other_origin]).await, 403, "{path}");
    }
}

#[tokio::test]
async fn other_pages_are_promised_nothing() {
    let door = Door::open().await;

    let preflight = door
        .ask(
            "OPTIONS /api/events",
            &[
                "host: HOST",
                "origin: http://evil.example",
                "access-control-request-method: GET",
                "access-control-request-headers: authorization",
            ],
        )
        .await;
    let page = door.ask("GET /", &["host: HOST"]).await;

    assert_eq!(preflight.status, 403);
    assert!(!preflight.text.to_lowercase().contains("access-control-allow"));
    assert!(page.text.contains("frame-ancestors 'none'"));
    assert!(!page.text.to_lowercase().contains("set-cookie"));
}
