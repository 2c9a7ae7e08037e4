//! The log: what arrived, newest first.

use http::StatusCode;
use serde_json::{Value, json};

use crate::TestApp;

fn ids(list: &Value) -> Vec<String> {
    let events = list["events"].as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn order(id: u32) -> String {
    json!({ "type": "order.created", "data": { "id": id } }).to_string()
}

#[tokio::test]
async fn a_webhook_that_is_delivered_twice_is_listed_once() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    app.send(&inbox, "msg_1", &order(1)).await;

    let repeat = app.send(&inbox, "msg_1", &order(1)).await;

    assert!(repeat.status.is_success());
    let list = app.read("/api/events").await;
    assert_eq!(ids(&list).len(), 1);
    assert_eq!(list["events"][0]["arrived"], 2);
    assert_eq!(list["events"][0]["external_id"], "msg_1");
}

#[tokio::test]
async fn a_row_says_what_an_owner_looks_for() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let body = order(1001);

    app.send(&inbox, "msg_1", &body).await;

    let list = app.read("/api/events").await;
    let row = &list["events"][0];
    assert_eq!(row["inbox"], inbox.id.as_str());
    assert_eq!(row["inbox_name"], "Test standard-webhooks");
    assert_eq!(row["type"], "order.created");
    assert_eq!(row["size_bytes"], body.len());
    assert_eq!(row["origin"], "push");
    assert_eq!(row["proof"], "verified");
    assert_eq!(row["arrived"], 1);
    assert_eq!(row["sandbox"], false);
    let received_at = row["received_at"].as_str().unwrap();
    assert_eq!(received_at.len(), "2026-05-12T14:05:22.031Z".len());
}

#[tokio::test]
async fn pages_go_both_ways_without_a_gap_or_a_repeat() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    for number in 0..5 {
        app.send(&inbox, "", &order(number)).await;
    }
    let all = ids(&app.read("/api/events").await);

    let first = app.read("/api/events?limit=2").await;
    let before = first["next"].as_str().unwrap();
    let second = app.read(&format!("/api/events?limit=2&before={before}")).await;
    let before = second["next"].as_str().unwrap();
    let third = app.read(&format!("/api/events?limit=2&before={before}")).await;
    let newer = app.read(&format!("/api/events?limit=2&after={}", all[4])).await;
    let after = newer["previous"].as_str().unwrap();
    let newest = app.read(&format!("/api/events?limit=2&after={after}")).await;

    assert_eq!([ids(&first), ids(&second), ids(&third)].concat(), all);
    assert_eq!(third["next"], Value::Null);
    assert_eq!([ids(&newest), ids(&newer)].concat(), all[..4]);
}

#[tokio::test]
async fn filters_hold_together() {
    let app = TestApp::start().await;
    let (one, other) = (app.inbox("standard-webhooks").await, app.inbox("any").await);
    app.send(&one, "msg_1", &order(1)).await;
    app.send(&one, "msg_2", r#"{"type":"order.paid","data":{"note":"urgent parcel"}}"#).await;
    app.send(&other, "msg_3", r#"{"note":"urgent letter"}"#).await;
    let count = async |query: &str| {
        let counted = app.read(&format!("/api/events/count?{query}")).await;
        let listed = ids(&app.read(&format!("/api/events?{query}")).await).len();
        assert_eq!(counted, json!({ "count": listed, "exact": true }), "{query}");
        listed
    };

    assert_eq!(count("").await, 3);
    assert_eq!(count(&format!("inbox={}", one.id)).await, 2);
    assert_eq!(count("type=order.paid").await, 1);
    assert_eq!(count("q=urgent").await, 2);
    assert_eq!(count(&format!("q=urgent&inbox={}", other.id)).await, 1);
    assert_eq!(count("since=2000-01-01T00:00:00Z&until=2000-01-02T00:00:00Z").await, 0);
    assert_eq!(count("inbox=&type=&q=").await, 3);
}

#[tokio::test]
async fn a_body_comes_back_byte_for_byte_and_as_nothing_that_runs() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let body = b"<script>alert(1)</script>\x00\xff\xfe";
    let request = http::Request::post(&inbox.path)
        .header("content-type", "text/html")
        .body(axum::body::Body::from(&body[..]))
        .unwrap();
    assert!(app.knock(request).await.status.is_success());
    let id = ids(&app.read("/api/events").await).remove(0);

    let answer = app.get(&format!("/api/events/{id}/body")).await;

    assert_eq!(&answer.body[..], body);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert!(answer.header("content-disposition").starts_with("attachment"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-security-policy"), "sandbox");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn one_event_says_why_it_was_accepted() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    app.send(&inbox, "msg_1", &order(1)).await;
    let id = ids(&app.read("/api/events").await).remove(0);

    let event = app.read(&format!("/api/events/{id}")).await;

    assert_eq!(
        event["why"],
        "Accepted: signed by Test standard-webhooks, checked with webhook-signature."
    );
    assert_eq!(event["proof_detail"]["header"], "webhook-signature");
    assert_eq!(event["method"], "POST");
    assert_eq!(event["first_at"], event["last_at"]);
    let headers = event["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["webhook-id", "msg_1"])), "{headers:?}");
}

#[tokio::test]
async fn credentials_that_come_along_are_masked() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let request = http::Request::post(&inbox.path)
        .header("authorization", "Bearer do-not-keep")
        .header("cookie", "session=do-not-keep")
        .body(axum::body::Body::from("{}"))
        .unwrap();
    app.knock(request).await;
    let id = ids(&app.read("/api/events").await).remove(0);

    let event = app.get(&format!("/api/events/{id}")).await;
    let request = app.get(&format!("/api/events/{id}/request")).await;

    for answer in [event, request] {
        assert!(!String::from_utf8_lossy(&answer.body).contains("do-not-keep"));
        assert!(String::from_utf8_lossy(&answer.body).contains("authorization"));
    }
}

#[tokio::test]
async fn an_exported_request_is_what_was_sent() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    app.send(&inbox, "msg_1", &order(7)).await;
    let id = ids(&app.read("/api/events").await).remove(0);

    let request = app.read(&format!("/api/events/{id}/request")).await;

    assert_eq!(request["method"], "POST");
    assert_eq!(request["body"], order(7));
    assert!(request["url"].as_str().unwrap().ends_with(&inbox.path));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::start().await;

    for part in ["", "/body", "/request"] {
        let answer = app.get(&format!("/api/events/evt_0000000000009{part}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{part}");
    }
}

#[tokio::test]
async fn a_rate_has_a_number_for_each_minute() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    app.send(&inbox, "", "{}").await;
    app.send(&inbox, "", "{}").await;

    app.clock.advance(jiff::SignedDuration::from_secs(1));
    let rate = app.read("/api/events/rate?minutes=5").await;

    assert_eq!(rate["step_seconds"], 60);
    let counts = rate["inboxes"][0]["counts"].as_array().unwrap();
    assert_eq!(counts.len(), 5);
    assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), 2);
    assert_eq!(rate["inboxes"][0]["name"], "Test any");
}
