//! What connectors say about webhooks, from a request to its answer and to the log.

use ed25519_dalek::{Signer as _, SigningKey};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{Options, SECRET};
use crate::{Answer, TestApp, TestInbox};

/// The application with one connector of the user's own, and an inbox of it.
async fn with(webhooks: &str, inbox: Value) -> (TestApp, TestInbox) {
    let indented = webhooks.replace('\n', "\n  ");
    let text = format!(
        "format: 1\nid: acme\nname: Acme\nstatus: documented\nwebhooks:\n  {}\n",
        indented.trim()
    );
    let options = Options { connectors: vec![("acme", text)], ..Options::default() };
    let app = TestApp::with(options).await;
    let mut request = json!({ "name": "Acme", "connector": "acme" });
    for (name, value) in inbox.as_object().expect("an object") {
        request[name] = value.clone();
    }
    let made = app.post("/api/inboxes", request).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let made = made.json();
    let url: url::Url = made["local_url"].as_str().unwrap().parse().unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    (app, TestInbox { id, path: url.path().to_owned() })
}

async fn send(
    app: &TestApp,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.knock(request.body(body.to_owned().into()).unwrap()).await
}

async fn post(app: &TestApp, inbox: &TestInbox, headers: &[(&str, &str)], body: &str) -> Answer {
    send(app, Method::POST, &inbox.path, headers, body).await
}

async fn events(app: &TestApp) -> Vec<Value> {
    app.read("/api/events").await["events"].as_array().unwrap().clone()
}

async fn refusal(app: &TestApp) -> Value {
    app.until("a refusal", async |app| {
        app.read("/api/refusals").await["refusals"].as_array()?.first().cloned()
    })
    .await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_ping_is_answered_when_it_is_signed_and_refused_when_it_is_not() {
    let webhooks = "
verify: { ed25519: { message: [{ header: x-signature-timestamp }, body], key: public_key, header: x-signature-ed25519, encoding: hex } }
handshake:
  - { ping: { json: { type: 1 } }, when: .type == 1 }
  - { ping: { status: 204, content_type: application/json }, when: .type == 0 }
answer: { status: 204, within: 3s, refused: 401 }
type: .event.type
dedupe: { digest: { within: 10m } }";
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = hex::encode(key.verifying_key().as_bytes());
    let (app, inbox) = with(webhooks, json!({ "secrets": { "public_key": public } })).await;
    let signed = async |body: &str, signed: &str| {
        let signature = key.sign(format!("1700000000{signed}").as_bytes());
        let signature = hex::encode(signature.to_bytes());
        let headers =
            [("x-signature-timestamp", "1700000000"), ("x-signature-ed25519", &*signature)];
        post(&app, &inbox, &headers, body).await
    };

    let ping = signed(r#"{"type":1}"#, r#"{"type":1}"#).await;
    assert_eq!((ping.status, text(&ping).as_str()), (StatusCode::OK, r#"{"type":1}"#));
    let ping = signed(r#"{"type":0}"#, r#"{"type":0}"#).await;
    assert_eq!(ping.status, StatusCode::NO_CONTENT);
    assert_eq!(header(&ping, "content-type"), "application/json");
    let probe = signed(r#"{"type":1}"#, r#"{"type":2}"#).await;
    assert_eq!(probe.status, StatusCode::UNAUTHORIZED);
    assert_eq!(events(&app).await.len(), 0);

    let body = r#"{"type":2,"event":{"type":"ENTITLEMENT_CREATE"}}"#;
    assert_eq!(signed(body, body).await.status, StatusCode::NO_CONTENT);
    let event = events(&app).await.remove(0);
    assert_eq!(
        (&event["type"], &event["proof"]),
        (&json!("ENTITLEMENT_CREATE"), &json!("verified"))
    );
}

#[tokio::test]
async fn a_batch_is_as_many_events_and_a_repeat_of_it_none() {
    let webhooks = "
verify: none
envelope: array
dedupe: .sg_event_id
type: .event";
    let (app, inbox) = with(webhooks, json!({})).await;
    let batch = "[{\"event\":\"open\",\"sg_event_id\":\"1\"} , {\"event\":\"click\",\"sg_event_id\": \"2\"}]\r\n";

    for _ in 0..2 {
        assert_eq!(post(&app, &inbox, &[], batch).await.status, StatusCode::OK);
    }

    let events = events(&app).await;
    let said: Vec<_> =
        events.iter().map(|event| (event["type"].clone(), event["arrived"].clone())).collect();
    assert_eq!(said, [(json!("click"), json!(2)), (json!("open"), json!(2))]);
    let id = events[0]["id"].as_str().unwrap();
    let body = app.get(&format!("/api/events/{id}/body")).await;
    assert_eq!(text(&body), "{\"event\":\"click\",\"sg_event_id\": \"2\"}");
    assert_eq!(post(&app, &inbox, &[], "[]").await.status, StatusCode::OK);
    assert_eq!(app.read("/api/events/count").await["count"], 2);
}

#[tokio::test]
async fn a_soap_message_is_taken_apart_and_acknowledged() {
    let ack = "<Envelope><Body><Ack>true</Ack></Body></Envelope>";
    let webhooks = format!(
        "
verify: {{ refetch: {{ expect: [{{ path: .Envelope.Body.notifications.OrganizationId, setting: organization_id }}] }} }}
settings: {{ organization_id: {{ title: Organization }} }}
envelope: {{ soap: {{ items: .notifications.Notification, shared: .notifications }} }}
dedupe: .Id
type: '.sObject[\"@type\"]'
account: .shared.OrganizationId
answer: {{ content_type: text/xml, body: \"{ack}\" }}"
    );
    let settings = json!({ "settings": { "organization_id": "00D" } });
    let (app, inbox) = with(&webhooks, settings).await;
    let message = |organization: &str| {
        format!(
            "<e:Envelope xmlns:e='s'><e:Body><notifications><OrganizationId>{organization}\
             </OrganizationId><Notification><Id>1</Id><sObject xsi:type='sf:Order' xmlns:xsi='i'/>\
             </Notification><Notification><Id>2</Id><sObject xsi:type='sf:Order' xmlns:xsi='i'/>\
             </Notification></notifications></e:Body></e:Envelope>"
        )
    };
    let kind = [("content-type", "text/xml; charset=utf-8")];

    let answer = post(&app, &inbox, &kind, &message("00D")).await;
    assert_eq!((answer.status, text(&answer).as_str()), (StatusCode::OK, ack));
    assert_eq!(header(&answer, "content-type"), "text/xml");
    let log = events(&app).await;
    assert_eq!(log.len(), 2);
    assert_eq!((&log[0]["external_id"], &log[0]["type"]), (&json!("2"), &json!("sf:Order")));
    assert_eq!(log[0]["proof"], "unsigned");

    let other = post(&app, &inbox, &kind, &message("00E")).await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refusal(&app).await["reason"], "unwanted");
    let entity = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>";
    assert_eq!(post(&app, &inbox, &kind, entity).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.read("/api/events/count").await["count"], 2);
}

#[tokio::test]
async fn cloud_events_ask_first_and_come_in_three_ways() {
    let webhooks = "
verify: { token_equal: { at: [bearer, { query: access_token }] } }
settings: { allowed_origins: { title: Allowed origins } }
handshake: { options_origin: { origins: allowed_origins, rate: 120 } }
envelope: cloudevents
dedupe: [.source, .id]
type: .type";
    let inbox = json!({
        "secrets": { "signing_secret": "long-enough-token" },
        "settings": { "allowed_origins": "events.example" },
    });
    let (app, inbox) = with(webhooks, inbox).await;

    let ask = async |origin| {
        send(&app, Method::OPTIONS, &inbox.path, &[("webhook-request-origin", origin)], "").await
    };
    let consent = ask("events.example").await;
    assert_eq!(consent.status, StatusCode::OK);
    assert_eq!(header(&consent, "webhook-allowed-origin"), "events.example");
    assert_eq!(header(&consent, "webhook-allowed-rate"), "120");
    assert_eq!(header(&ask("evil.example").await, "webhook-allowed-origin"), "");

    let uri = format!("{}?access_token=long-enough-token", inbox.path);
    let event = |id: u32| json!({ "id": id.to_string(), "source": "/s", "specversion": "1.0", "type": "t" });
    let take = async |kind: &str, headers: &[(&str, &str)], body: Value| {
        let headers = [&[("content-type", kind)], headers].concat();
        send(&app, Method::POST, &uri, &headers, &body.to_string()).await.status
    };
    let binary = [("ce-id", "1"), ("ce-source", "/s"), ("ce-specversion", "1.0"), ("ce-type", "t")];
    assert_eq!(take("application/json", &binary, json!({})).await, StatusCode::OK);
    assert_eq!(take("application/cloudevents+json", &[], event(2)).await, StatusCode::OK);
    let batch = json!([event(2), event(3), event(4)]);
    assert_eq!(take("application/cloudevents-batch+json", &[], batch).await, StatusCode::OK);
    assert_eq!(app.read("/api/events/count").await["count"], 4);

    let mut both = event(5);
    both["data"] = json!(1);
    both["data_base64"] = json!("MQ==");
    let broken = json!([event(6), both]);
    assert_eq!(
        take("application/cloudevents-batch+json", &[], broken).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(take("text/plain", &[], json!(1)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.read("/api/events/count").await["count"], 4);

    let id = events(&app).await[0]["id"].as_str().unwrap().to_owned();
    let stored = app.read(&format!("/api/events/{id}")).await.to_string();
    assert!(!stored.contains("long-enough-token"), "{stored}");
    let wrong = format!("{}?access_token=wrong", inbox.path);
    assert_eq!(
        send(&app, Method::POST, &wrong, &binary, "").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_form_is_led_on_and_a_program_that_fills_it_in_learns_nothing() {
    let webhooks = "
verify: { form_guard: { origins: allowed_origins, honeypot: _gotcha } }
settings: { allowed_origins: { title: Pages }, thank_you_url: { title: Thank you, optional: true } }
handshake: { cors: { origins: allowed_origins } }
type: '\"form.submitted\"'
title: .email
answer: { redirect: thank_you_url }";
    let settings = json!({ "settings": {
        "allowed_origins": "https://acme.example", "thank_you_url": "https://acme.example/thanks",
    }});
    let (app, inbox) = with(webhooks, settings).await;
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let page = [kind, ("origin", "https://acme.example"), ("accept", "text/html,*/*;q=0.8")];
    let script = [kind, ("origin", "https://acme.example")];
    let stranger = [kind, ("origin", "https://evil.example")];

    let preflight = send(&app, Method::OPTIONS, &inbox.path, &script, "").await;
    assert_eq!(header(&preflight, "access-control-allow-origin"), "https://acme.example");
    let led_on = post(&app, &inbox, &page, "email=ada%40acme.example&_gotcha=").await;
    assert_eq!(led_on.status, StatusCode::SEE_OTHER);
    assert_eq!(header(&led_on, "location"), "https://acme.example/thanks");
    let answered = post(&app, &inbox, &script, "email=bob%40acme.example").await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(header(&answered, "access-control-allow-origin"), "https://acme.example");
    assert_eq!(events(&app).await[0]["title"], "bob@acme.example");

    let program = post(&app, &inbox, &page, "email=x&_gotcha=y").await;
    assert_eq!(program.status, StatusCode::SEE_OTHER);
    assert_eq!(refusal(&app).await["reason"], "unwanted");
    let other = post(&app, &inbox, &stranger, "email=x").await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
    assert_eq!(header(&other, "access-control-allow-origin"), "");
    assert_eq!(app.read("/api/events/count").await["count"], 2);
}

#[tokio::test]
async fn a_probe_is_answered_and_other_methods_are_not() {
    let webhooks = "
verify: standard_webhooks
handshake: [{ head_ok: true }, { ping: {}, when: 'keys == [\"webhook_id\"]', unsigned: true }]";
    let secrets = json!({ "secrets": { "signing_secret": SECRET } });
    let (app, inbox) = with(webhooks, secrets).await;

    assert_eq!(send(&app, Method::HEAD, &inbox.path, &[], "").await.status, StatusCode::OK);
    for method in [Method::GET, Method::OPTIONS, Method::PUT] {
        let answer = send(&app, method, &inbox.path, &[], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(post(&app, &inbox, &form, "webhook_id=12").await.status, StatusCode::OK);
    assert_eq!(
        post(&app, &inbox, &form, "webhook_id=12&x=1").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(app.read("/api/events/count").await["count"], 0);
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused_and_not_asked_for() {
    let webhooks = r#"
verify: { rsa_pkcs1_sha256: { message: body, key: { certificate: { url: { header: cert-url }, hosts: "*.paypal.com" } }, header: sig, encoding: base64 } }"#;
    let (app, inbox) = with(webhooks, json!({})).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();

    let url = format!("https://127.0.0.1:{port}/cert.pem");
    let answer = post(&app, &inbox, &[("cert-url", &url), ("sig", "AAAA")], "{}").await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refusal(&app).await["reason"], "bad_certificate");
    let nobody = futures::FutureExt::now_or_never(listener.accept());
    assert!(nobody.is_none(), "somebody asked for the certificate");
}

#[tokio::test]
async fn without_a_secret_the_sender_is_asked_to_come_again() {
    let webhooks = "
verify: { hmac: { sha256: body, key: signing_secret, header: sig, encoding: hex } }
answer: { overload: 429, retry_after: 60s }";
    let (app, inbox) = with(webhooks, json!({})).await;

    let answer = post(&app, &inbox, &[("sig", "00")], "{}").await;

    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&answer, "retry-after"), "60");
    assert_eq!(refusal(&app).await["reason"], "no_secret");
}
