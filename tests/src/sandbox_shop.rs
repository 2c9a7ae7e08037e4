//! The whole path: connect the sandbox shop, receive its webhooks, sync its orders.

use http::StatusCode;
use serde_json::{Value, json};

use crate::TestApp;

/// Opens the sandbox, answers its consent page, and waits until the connection is ready.
async fn connected(app: &TestApp) -> Value {
    let opened = app.post("/api/sandbox", json!({})).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.json());
    let opened = opened.json();
    consent(opened["authorize_url"].as_str().unwrap(), "allow").await;
    let path = format!("/api/connections/{}", opened["connection"]["id"].as_str().unwrap());
    app.until("the connection being ready", async |app| {
        let connection = app.read(&path).await;
        (connection["state"] == "ready").then_some(connection)
    })
    .await;
    opened
}

/// What the person in the browser does: the browser then goes where it is sent.
async fn consent(authorize_url: &str, decision: &str) -> StatusCode {
    let form = [("decision", decision)];
    let answer = reqwest::Client::new().post(authorize_url).form(&form).send().await.unwrap();
    answer.status()
}

async fn finished(app: &TestApp, run: &str) -> Value {
    let path = format!("/api/sync-runs/{run}");
    app.until("the end of the run", async |app| {
        let run = app.read(&path).await;
        (run["state"] != "running").then_some(run)
    })
    .await
}

async fn sync_of(app: &TestApp, stream: &str) -> Value {
    let list = app.read("/api/syncs").await;
    let syncs = list["syncs"].as_array().unwrap();
    syncs.iter().find(|sync| sync["stream"] == stream).cloned().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_it_makes_each_part_once() {
    let app = TestApp::with_shop().await;

    let first = app.post("/api/sandbox", json!({})).await.json();
    let second = app.post("/api/sandbox", json!({})).await.json();

    assert_eq!(first["connection"]["id"], second["connection"]["id"]);
    assert_eq!(first["inbox"]["id"], second["inbox"]["id"]);
    assert_eq!(app.read("/api/syncs").await["syncs"].as_array().unwrap().len(), 2);
    assert_eq!(app.read("/api/inboxes").await["inboxes"].as_array().unwrap().len(), 1);
    assert_eq!(first["connection"]["state"], "signing_in");
    assert_eq!(first["connection"]["sandbox"], true);
    let streams: Vec<_> =
        first["syncs"].as_array().unwrap().iter().map(|sync| sync["stream"].clone()).collect();
    assert_eq!(streams, ["orders", "products"]);
    assert_eq!(first["syncs"][0]["schedule"], json!({ "every": "5m" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_orders_arrive_as_verified_events() {
    let app = TestApp::with_shop().await;
    connected(&app).await;
    app.until("the registration", async |app| {
        let inboxes = app.read("/api/inboxes").await;
        (inboxes["inboxes"][0]["registration"]["state"] == "registered").then_some(())
    })
    .await;

    let made = app.post("/api/sandbox/orders", json!({ "count": 3 })).await;
    let events = app
        .until("three orders", async |app| {
            let list = app.read("/api/events?type=order.created").await;
            let events = list["events"].as_array().unwrap().clone();
            (events.len() == 3).then_some(events)
        })
        .await;

    assert_eq!(made.status, StatusCode::ACCEPTED);
    assert_eq!(made.json(), json!({ "made": 3 }));
    for event in &events {
        assert_eq!(event["proof"], "verified");
        assert_eq!(event["sandbox"], true);
        assert!(event["title"].as_str().unwrap().contains('#'), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_orders_are_synced_and_a_full_resync_finds_them_unchanged() {
    let app = TestApp::with_shop().await;
    connected(&app).await;
    let orders = sync_of(&app, "orders").await;
    let id = orders["id"].as_str().unwrap();
    app.until("the first run", async |app| {
        let sync = app.read(&format!("/api/syncs/{id}")).await;
        (sync["runs"][0]["state"] == "done").then_some(())
    })
    .await;
    let first = sync_of(&app, "orders").await["runs"][0].clone();

    let begun = app.post(&format!("/api/syncs/{id}/run"), json!({ "full": true })).await;
    let full = finished(&app, begun.json()["id"].as_str().unwrap()).await;

    assert_eq!(begun.status, StatusCode::ACCEPTED);
    assert_eq!(first["trigger"], "first");
    assert_eq!(first["inserted"], 120);
    assert_eq!(full["state"], "done", "{full}");
    assert_eq!((&full["records"], &full["unchanged"]), (&json!(120), &json!(120)));
    assert_eq!((&full["inserted"], &full["changed"]), (&json!(0), &json!(0)));
    assert_eq!(app.read("/api/records/count?stream=orders").await["count"], 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_consent_says_so_and_can_be_tried_again() {
    let app = TestApp::with_shop().await;
    let opened = app.post("/api/sandbox", json!({})).await.json();
    let id = opened["connection"]["id"].as_str().unwrap();

    consent(opened["authorize_url"].as_str().unwrap(), "deny").await;
    let connection = app
        .until("the refusal", async |app| {
            let connection = app.read(&format!("/api/connections/{id}")).await;
            (connection["state"] == "needs_sign_in").then_some(connection)
        })
        .await;
    let again = app.post(&format!("/api/connections/{id}/authorize"), json!({})).await.json();
    consent(again["authorize_url"].as_str().unwrap(), "allow").await;

    assert!(connection["why"].as_str().is_some_and(|why| why.contains("was not allowed")));
    app.until("the connection being ready", async |app| {
        (app.read(&format!("/api/connections/{id}")).await["state"] == "ready").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_takes_all_of_it_away() {
    let app = TestApp::with_shop().await;
    let own = app.inbox("any").await;
    app.send(&own, "", "{}").await;
    connected(&app).await;

    let deleted = app.delete("/api/sandbox").await;

    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(app.read("/api/connections").await["connections"], json!([]));
    assert_eq!(app.read("/api/syncs").await["syncs"], json!([]));
    assert_eq!(app.read("/api/records/count").await["count"], 0);
    let inboxes = app.read("/api/inboxes").await;
    assert_eq!(inboxes["inboxes"].as_array().unwrap().len(), 1);
    assert_eq!(app.read("/api/events/count").await["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_is_remembered_until_one_succeeds() {
    let app = TestApp::with_shop().await;
    let opened = connected(&app).await;
    let path = format!("/api/connections/{}", opened["connection"]["id"].as_str().unwrap());
    let check = format!("{path}/check");

    app.patch("/api/sandbox", json!({ "faults": { "answer_500": 1 } })).await;
    let failed = app.post(&check, json!({})).await;
    let bad = app.read(&path).await;
    app.patch("/api/sandbox", json!({ "faults": { "answer_500": 0 } })).await;
    let mended = app.post(&check, json!({})).await.json();

    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    let message = failed.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Sandbox shop: "), "{message}");
    assert!(bad["fault"]["why"].as_str().unwrap().contains("500"), "{bad}");
    assert_eq!(mended["fault"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_faults_are_set_one_by_one() {
    let app = TestApp::with_shop().await;

    let changed = app.patch("/api/sandbox", json!({ "faults": { "drop": 0.2 } })).await.json();
    let wrong = app.patch("/api/sandbox", json!({ "faults": { "drop": 2 } })).await;

    assert_eq!(changed["enabled"], true);
    assert_eq!(changed["shop"]["faults"]["drop"], 0.2);
    assert_eq!(changed["shop"]["faults"]["duplicate"], 0.0);
    assert!(wrong.status.is_client_error(), "{}", wrong.status);
    assert_eq!(wrong.json()["error"]["message"], "`drop` is a number from 0 to 1");
}

#[tokio::test]
async fn a_host_without_a_shop_says_so() {
    let app = TestApp::start().await;

    let opened = app.post("/api/sandbox", json!({})).await;
    let shown = app.read("/api/sandbox").await;

    assert_eq!(opened.status, StatusCode::CONFLICT);
    assert_eq!(opened.json()["error"]["code"], "sandbox_off");
    assert_eq!(shown["enabled"], false);
}
