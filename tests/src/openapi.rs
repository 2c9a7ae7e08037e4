//! The contract, and that nothing answers outside of it.

use http::StatusCode;

use crate::TestApp;

#[tokio::test]
async fn the_contract_is_answered_by_the_router_that_it_describes() {
    let app = TestApp::start().await;

    let document = app.read("/api/openapi.json").await;

    assert_eq!(document, serde_json::to_value(api::openapi()).unwrap());
}

#[tokio::test]
async fn what_is_not_in_the_contract_is_answered_in_the_envelope() {
    let app = TestApp::start().await;

    let unknown = app.get("/api/nothing").await;
    let method = app.delete("/api/events").await;
    let id = app.get("/api/events/inb_0000000000000").await;
    let body = app.post("/api/inboxes", serde_json::json!("text")).await;
    let limit = app.get("/api/events?limit=1001").await;

    for (answer, status, code) in [
        (unknown, StatusCode::NOT_FOUND, "not_found"),
        (method, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        (id, StatusCode::NOT_FOUND, "not_found"),
        (body, StatusCode::BAD_REQUEST, "invalid_request"),
        (limit, StatusCode::BAD_REQUEST, "invalid_request"),
    ] {
        assert_eq!(answer.json()["error"]["code"], code, "{}", answer.json());
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(!message.is_empty() && !message.ends_with('.'), "{message}");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}
