//! Addresses that receive webhooks.

use http::StatusCode;
use serde_json::json;

use crate::TestApp;
use crate::app::SECRET;

#[tokio::test]
async fn a_new_inbox_has_an_address_and_hides_its_secret() {
    let app = TestApp::start().await;

    let made = app
        .post(
            "/api/inboxes",
            json!({
                "name": "Shop",
                "connector": "standard-webhooks",
                "secrets": { "signing_secret": SECRET },
                "settings": {},
            }),
        )
        .await;

    assert_eq!(made.status, StatusCode::CREATED);
    let inbox = made.json();
    let local = format!("{}in/", app.ingress_url());
    assert!(inbox["local_url"].as_str().is_some_and(|url| url.starts_with(&local)), "{inbox}");
    assert_eq!(inbox["public_url"], json!(null));
    assert_eq!(inbox["has_secrets"], true);
    assert_eq!(inbox["signed"], true);
    assert_eq!(inbox["events"], json!({ "count": 0, "exact": true }));
    assert!(!inbox.to_string().contains(SECRET));
    assert!(!app.read("/api/inboxes").await.to_string().contains(SECRET));
}

#[tokio::test]
async fn an_inbox_without_what_its_connector_needs_is_not_made() {
    let app = TestApp::start().await;
    let make = async |connector: &str, secret: &str| {
        let body = json!({
            "name": "Shop", "connector": connector, "secrets": { "signing_secret": secret },
        });
        let answer = app.post("/api/inboxes", body).await;
        (answer.status, answer.json()["error"]["code"].clone())
    };

    assert_eq!(
        make("nobody", SECRET).await,
        (StatusCode::UNPROCESSABLE_ENTITY, json!("unknown_connector"))
    );
    for secret in ["abc", "not a secret!", "whsec_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZI"] {
        let made = make("standard-webhooks", secret).await;
        assert_eq!(made, (StatusCode::UNPROCESSABLE_ENTITY, json!("invalid_field")), "{secret}");
    }
    assert_eq!(app.read("/api/inboxes").await["inboxes"], json!([]));
}

#[tokio::test]
async fn an_inbox_whose_sender_tells_its_secret_later_says_that_it_needs_it() {
    let app = TestApp::start().await;
    let body = json!({ "name": "Shop", "connector": "standard-webhooks" });
    let made = app.post("/api/inboxes", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = format!("/api/inboxes/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(app.read(&path).await["missing_secrets"], json!(["signing_secret"]));

    let refused = app.patch(&path, json!({ "secrets": { "signing_secret": "abc" } })).await;
    let given = app.patch(&path, json!({ "secrets": { "signing_secret": SECRET } })).await;

    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!refused.json().to_string().contains("abc"));
    assert!(given.status.is_success());
    assert_eq!(app.read(&path).await["missing_secrets"], json!([]));
}

#[tokio::test]
async fn how_a_sender_signs_can_be_corrected_and_is_in_force_at_once() {
    let app = TestApp::start().await;
    let made = app.post("/api/inboxes", json!({ "name": "Till", "connector": "any" })).await;
    let made = made.json();
    let path = format!("/api/inboxes/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["signed"], &made["settings"]), (&json!(false), &json!({})));

    let refused = app.patch(&path, json!({ "settings": { "proof": "morse" } })).await;
    let unknown = app.patch(&path, json!({ "settings": { "nobody": "x" } })).await;
    let unchanged = app.read(&path).await;
    let signed = json!({ "settings": { "proof": "hmac", "signature": "x-sig" } });
    let corrected = app.patch(&path, signed).await.json();
    let back =
        app.patch(&path, json!({ "settings": { "proof": "", "signature": "" } })).await.json();

    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(unchanged, made);
    assert_eq!(corrected["signed"], true);
    assert_eq!(corrected["missing_secrets"], json!(["signing_secret"]));
    assert_eq!(back["signed"], false);
}

#[tokio::test]
async fn a_changed_secret_is_in_force_at_once() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let path = format!("/api/inboxes/{}", inbox.id);

    app.patch(&path, json!({ "secrets": { "signing_secret": other } })).await;
    let with_old = app.send(&inbox, "msg_1", "{}").await;
    app.patch(&path, json!({ "secrets": { "signing_secret": [other, SECRET] } })).await;
    let with_both = app.send(&inbox, "msg_2", "{}").await;

    assert_eq!(with_old.status, StatusCode::UNAUTHORIZED);
    assert!(with_both.status.is_success());
}

#[tokio::test]
async fn a_deleted_inbox_takes_its_events_along_and_answers_no_more() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    app.send(&inbox, "", "{}").await;

    let deleted = app.delete(&format!("/api/inboxes/{}", inbox.id)).await;

    assert_eq!(deleted.status, StatusCode::OK);
    assert_eq!(deleted.json(), json!({ "events_deleted": 1 }));
    assert_eq!(app.send(&inbox, "", "{}").await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.read("/api/events/count").await["count"], 0);
    assert_eq!(app.get(&format!("/api/inboxes/{}", inbox.id)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_renamed_inbox_is_called_so_in_the_log() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    app.send(&inbox, "", "{}").await;

    app.patch(&format!("/api/inboxes/{}", inbox.id), json!({ "name": "Till" })).await;

    assert_eq!(app.read("/api/events").await["events"][0]["inbox_name"], "Till");
}

#[tokio::test]
async fn a_secret_that_the_vault_lost_is_named_and_can_be_entered_again() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let path = format!("/api/inboxes/{}", inbox.id);
    app.vault.lose();

    let lost = app.send(&inbox, "msg_1", "{}").await;
    let refusal = app
        .until("the refusal", async |app| {
            app.read("/api/refusals").await["refusals"].get(0).cloned()
        })
        .await;
    let entered = app.patch(&path, json!({ "secrets": { "signing_secret": SECRET } })).await;
    let again = app.send(&inbox, "msg_1", "{}").await;

    assert!(lost.status.is_server_error(), "{}", lost.status);
    assert_eq!(refusal["reason"], "secret_lost");
    assert!(refusal["hint"].as_str().unwrap().starts_with("Enter the inbox's secret again"));
    assert_eq!(entered.status, StatusCode::OK, "{}", entered.json());
    assert!(again.status.is_success(), "{}", again.status);
}

#[tokio::test]
async fn a_vault_that_is_only_locked_keeps_what_is_in_it() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let path = format!("/api/inboxes/{}", inbox.id);
    let body = json!({ "secrets": { "signing_secret": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } });

    app.vault.lock(true);
    let locked = app.patch(&path, body).await;
    app.vault.lock(false);

    assert_eq!(locked.json()["error"]["code"], "vault_locked");
    assert!(app.send(&inbox, "msg_1", "{}").await.status.is_success());
}

#[tokio::test]
async fn a_deletion_succeeds_while_the_vault_is_out_of_reach_and_ends_once_it_is_not() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    app.send(&inbox, "msg_1", "{}").await;

    app.vault.lock(true);
    let deleted = app.delete(&format!("/api/inboxes/{}", inbox.id)).await;
    let kept = app.vault.kept();
    app.vault.lock(false);
    // Whatever is deleted next takes up what is left.
    let other = app.inbox("any").await;
    app.delete(&format!("/api/inboxes/{}", other.id)).await;
    app.until("the end of it", async |app| (app.vault.kept() == 0).then_some(())).await;

    assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.json());
    assert_eq!(deleted.json(), json!({ "events_deleted": 1 }));
    assert_eq!(kept, 1);
    assert_eq!(app.read("/api/inboxes").await["inboxes"], json!([]));
    assert_eq!(app.read("/api/events").await["events"], json!([]));
}

#[tokio::test]
async fn whose_secrets_are_lost_is_told_until_they_are_entered_again() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let path = format!("/api/inboxes/{}", inbox.id);
    app.vault.lose();
    let lost = async |app: &TestApp| app.read("/api/status").await["vault"]["lost"].clone();

    // A second inbox has the vault looked at; at a start that happens by itself.
    app.inbox("standard-webhooks").await;
    let told = app
        .until("the loss", async |app| Some(lost(app).await).filter(|it| *it != json!([])))
        .await;
    app.patch(&path, json!({ "secrets": { "signing_secret": SECRET } })).await;
    app.until("the mend", async |app| (lost(app).await == json!([])).then_some(())).await;

    assert_eq!(told, json!([{ "owner": inbox.id, "name": "Test standard-webhooks" }]));
}
