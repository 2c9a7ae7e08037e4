//! The few choices of the installation.

use http::StatusCode;
use serde_json::json;

use crate::TestApp;

#[tokio::test]
async fn what_is_left_out_of_a_change_stays() {
    let app = TestApp::start().await;

    app.patch("/api/settings", json!({ "time_zone": "Europe/London" })).await;
    app.patch("/api/settings", json!({ "close_explained": true })).await;
    let both = app.read("/api/settings").await;
    app.patch("/api/settings", json!({ "time_zone": null })).await;
    let one = app.read("/api/settings").await;

    assert_eq!(both, json!({ "time_zone": "Europe/London", "close_explained": true }));
    assert_eq!(one, json!({ "time_zone": null, "close_explained": true }));
}

#[tokio::test]
async fn a_place_that_is_no_time_zone_is_refused() {
    let app = TestApp::start().await;

    let answer = app.patch("/api/settings", json!({ "time_zone": "Europe/Atlantis" })).await;

    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.read("/api/settings").await["time_zone"], json!(null));
}

#[tokio::test]
async fn a_host_without_a_screen_opens_nothing() {
    let app = TestApp::start().await;

    let opened = app.post("/api/host/open", json!({ "url": "https://example.com/" })).await;
    let file = app.post("/api/host/open", json!({ "url": "file:///etc/passwd" })).await;
    let autostart = app.patch("/api/host", json!({ "autostart": true })).await;

    assert_eq!(opened.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(opened.json()["error"]["code"], "no_browser");
    assert_eq!(file.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(autostart.status, StatusCode::NOT_FOUND);
}
