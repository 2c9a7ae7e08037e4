//! Logging in to the pages: a code becomes a session token.

use http::StatusCode;
use serde_json::json;

use crate::TestApp;

#[tokio::test]
async fn a_code_is_spent_for_a_token_once() {
    let app = TestApp::start().await;
    let code = app.logins.code().unwrap();

    let first = app.post("/api/login", json!({ "code": code.expose() })).await;
    let second = app.post("/api/login", json!({ "code": code.expose() })).await;

    assert_eq!(first.status, StatusCode::OK);
    assert!(first.json()["token"].as_str().is_some_and(|token| token.len() >= 32));
    assert_eq!(second.status, StatusCode::UNAUTHORIZED);
    assert_eq!(second.json()["error"]["code"], "login_code");
}
