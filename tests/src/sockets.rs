//! Events over a socket that Patchbay opens, with a server on loopback as the other side.

use http::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::TestApp;
use crate::app::Options;
use crate::chat::{Chat, event, payload};

const CONNECTOR: &str = r#"
format: 1
id: chat
name: Chat
status: documented
settings: { url: { title: Address, pattern: 'http://127[.]0[.]0[.]1:[0-9]+' } }
base_url: "{{ settings.url }}"
auth:
  - header_token: { prefix: "Bearer " }
    fields: { app_token: { title: App token, secret: true, optional: true } }
  - { basic: { user: "{{ secrets.key }}" }, fields: { key: { title: Key, secret: true } } }
check: { get: /me, account: .team }
errors: { in_200: { when: .ok == false, code: .error }, code: .error, dead: [invalid_auth] }
webhooks:
  verify: { hmac: { sha256: body, key: signing_secret, header: x-signature, encoding: hex } }
  dedupe: .event_id
  type: .event.type
  title: .event.text
socket:
  open: { post: /connections.open }
  token: app_token
  url: .url
  hosts: [127.0.0.1, "*.chat.example"]
  ready: .type == "hello"
  ack: { when: .envelope_id, json: { envelope_id: "{{ message.envelope_id }}" } }
  event: { when: '.type == "events_api"', at: .payload }
  renew: .type == "disconnect"
  stop: .reason == "link_disabled"
"#;

/// The application, a provider, and a connection to it.
struct Desk {
    app: TestApp,
    chat: Chat,
    connection: String,
}

impl Desk {
    async fn start() -> Self {
        Self::with(CONNECTOR).await
    }

    async fn with(connector: &str) -> Self {
        let connectors = vec![("chat", connector.to_owned())];
        let app = TestApp::with(Options { connectors, ..Options::default() }).await;
        let chat = Chat::start().await;
        let secrets = json!({ "token": "xoxb-1", "app_token": "xapp-1" });
        let request = json!({ "connector": "chat", "name": "Acme", "way": "header_token",
            "settings": { "url": chat.url() }, "secrets": secrets });
        let made = app.post("/api/connections", request).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        assert_eq!(made.json()["state"], "ready", "{}", made.json());
        let connection = made.json()["id"].as_str().unwrap().to_owned();
        Self { app, chat, connection }
    }

    /// Lets its events arrive over a socket.
    async fn choose(&self) -> crate::Answer {
        let request = json!({ "name": "Acme", "connector": "chat",
            "connection": self.connection, "socket": true });
        self.app.post("/api/inboxes", request).await
    }

    /// The same; the id of the inbox.
    async fn inbox(&self) -> String {
        let made = self.choose().await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    /// The socket, as it is shown once it is in this state.
    async fn until(&self, state: &str) -> Value {
        self.until_so(state, "").await
    }

    /// The same, where what is wrong is said with these words.
    async fn until_so(&self, state: &str, why: &str) -> Value {
        let what = format!("a socket that is {state}: {why}");
        self.app
            .until(&what, async |app| {
                let inboxes = app.read("/api/inboxes").await;
                let socket = inboxes["inboxes"][0]["socket"].clone();
                let said = socket["why"].as_str().unwrap_or_default();
                (socket["state"] == state && said.contains(why)).then_some(socket)
            })
            .await
    }

    async fn events(&self) -> Vec<Value> {
        self.app.read("/api/events").await["events"].as_array().unwrap().clone()
    }

    async fn refusals(&self) -> Vec<Value> {
        self.app
            .until("a refusal", async |app| {
                let refusals = app.read("/api/refusals").await["refusals"].clone();
                refusals.as_array().filter(|all| !all.is_empty()).cloned()
            })
            .await
    }

    async fn patch(&self, body: Value) -> Value {
        let changed = self.app.patch(&format!("/api/connections/{}", self.connection), body).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.json());
        changed.json()
    }

    async fn check(&self) -> Value {
        let path = format!("/api/connections/{}/check", self.connection);
        self.app.post(&path, json!({})).await.json()
    }
}

fn ack(envelope: &str) -> Value {
    json!({ "envelope_id": envelope })
}

#[tokio::test]
async fn an_event_is_on_the_disk_when_it_is_acknowledged_and_says_how_it_came() {
    let mut desk = Desk::start().await;
    let inbox = desk.inbox().await;
    let mut line = desk.chat.ready().await;
    let socket = desk.until("connected").await;
    assert!(socket["heard_at"].is_string() && socket["since"].is_string(), "{socket}");

    line.tell("e1", "Ev1").await;
    assert_eq!(line.hear().await, ack("e1"));

    let events = desk.events().await;
    assert_eq!(events.len(), 1);
    for (name, value) in [
        ("inbox", json!(inbox)),
        ("type", json!("message")),
        ("title", json!("Order Ev1")),
        ("external_id", json!("Ev1")),
        ("origin", json!("push")),
        ("proof", json!("verified")),
    ] {
        assert_eq!(events[0][name], value, "{name}");
    }
    let path = format!("/api/events/{}", events[0]["id"].as_str().unwrap());
    let shown = desk.app.read(&path).await;
    assert_eq!(shown["proof_detail"], json!({ "scheme": "socket" }));
    assert_eq!(desk.app.get(&format!("{path}/body")).await.body, payload("Ev1"));
    assert_eq!(desk.chat.asked(), ["Bearer xapp-1"]);
}

#[tokio::test]
async fn a_repeat_in_another_envelope_is_one_event_and_acknowledged_again() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;

    line.tell("e1", "Ev1").await;
    assert_eq!(line.hear().await, ack("e1"));
    line.tell("e2", "Ev1").await;
    assert_eq!(line.hear().await, ack("e2"));

    let events = desk.events().await;
    assert_eq!((events.len(), &events[0]["arrived"]), (1, &json!(2)));
}

#[tokio::test]
async fn what_comes_together_is_acknowledged_in_its_order() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;

    for number in 0..200 {
        line.tell(&format!("e{number}"), &format!("Ev{number}")).await;
    }
    for number in 0..200 {
        assert_eq!(line.hear().await, ack(&format!("e{number}")));
    }

    let events = desk.app.read("/api/events?limit=1000").await;
    let ids: Vec<_> = events["events"].as_array().unwrap().iter().rev().collect();
    assert_eq!(ids.len(), 200);
    for (number, event) in ids.into_iter().enumerate() {
        assert_eq!(event["external_id"], format!("Ev{number}"));
    }
}

#[tokio::test]
async fn what_is_no_event_is_acknowledged_and_what_is_no_message_is_refused() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;

    line.send(Message::text("no JSON")).await;
    line.send(Message::binary(vec![0, 1])).await;
    line.say(json!({ "envelope_id": "e1", "type": "interactive", "payload": {} })).await;
    assert_eq!(line.hear().await, ack("e1"));
    line.say(json!({ "type": "something new" })).await;
    line.tell("e2", "Ev1").await;
    assert_eq!(line.hear().await, ack("e2"));

    assert_eq!(desk.events().await.len(), 1);
    assert_eq!(desk.until("connected").await["ignored"], 2);
    assert!(desk.refusals().await.iter().all(|refusal| refusal["reason"] == "malformed"));
    assert_eq!(desk.chat.asked().len(), 1);
}

#[tokio::test]
async fn a_socket_that_is_lost_is_opened_again_at_once() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let line = desk.chat.ready().await;
    desk.until("connected").await;

    drop(line);

    let mut line = desk.chat.ready().await;
    line.tell("e1", "Ev1").await;
    assert_eq!(line.hear().await, ack("e1"));
    assert_eq!(desk.events().await.len(), 1);
}

#[tokio::test]
async fn a_socket_that_is_lost_again_and_again_is_waited_for() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    drop(desk.chat.ready().await);
    drop(desk.chat.ready().await);

    let socket = desk.until("waiting").await;

    assert!(socket["until"].is_string() && socket["why"].is_string(), "{socket}");
    assert_eq!(desk.chat.asked().len(), 2);
}

#[tokio::test]
async fn after_the_computer_has_slept_a_socket_is_asked_whether_anybody_is_there() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;
    desk.until("connected").await;

    desk.app.clock.advance(jiff::SignedDuration::from_mins(10));

    // Long before it has been silent for too long by a clock that stood still meanwhile.
    assert!(matches!(line.next().await, Some(Message::Ping(_))));
}

#[tokio::test]
async fn the_next_socket_is_opened_first_and_nothing_is_lost_between_them() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut old = desk.chat.ready().await;
    old.tell("e1", "Ev1").await;
    assert_eq!(old.hear().await, ack("e1"));

    old.say(json!({ "type": "disconnect", "reason": "warning" })).await;
    let mut new = desk.chat.line().await;
    // The old one is in use until the new one is ready, and after.
    old.tell("e2", "Ev2").await;
    assert_eq!(old.hear().await, ack("e2"));
    new.say(json!({ "type": "hello" })).await;
    new.tell("e3", "Ev3").await;
    assert_eq!(new.hear().await, ack("e3"));
    old.say(json!({ "type": "disconnect", "reason": "refresh_requested" })).await;
    old.tell("e4", "Ev4").await;
    assert_eq!(old.hear().await, ack("e4"));
    drop(old);
    new.tell("e5", "Ev5").await;
    assert_eq!(new.hear().await, ack("e5"));

    assert_eq!(desk.events().await.len(), 5);
    assert_eq!(desk.until("connected").await["state"], "connected");
    assert_eq!(desk.chat.asked().len(), 2);
    assert!(desk.chat.is_idle());
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_socket_and_is_noted() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;

    let large = event("e1", &"x".repeat(30 * 1024 * 1024));
    line.try_send(Message::text(large)).await;
    drop(line);

    let refusals = desk.refusals().await;
    assert_eq!(refusals[0]["reason"], "too_large", "{}", refusals[0]);
    let mut line = desk.chat.ready().await;
    line.tell("e2", "Ev2").await;
    assert_eq!(line.hear().await, ack("e2"));
    assert_eq!(desk.events().await.len(), 1);
}

#[tokio::test]
async fn a_message_of_25_mb_is_an_event() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;

    let large = event("e1", &"x".repeat(12 * 1024 * 1024));
    line.send(Message::text(large)).await;

    assert_eq!(line.hear().await, ack("e1"));
    assert_eq!(desk.events().await.len(), 1);
}

#[tokio::test]
async fn an_address_that_the_connector_does_not_name_is_not_opened() {
    for (url, why) in [
        ("wss://evil.example/link?ticket=secret", "evil.example is not a host"),
        ("wss://chat.example.evil.example/link", "is not a host"),
        ("ws://a.chat.example/link", "without encryption"),
        // Another port of this machine is not what the user typed.
        ("wss://127.0.0.1:1/link", "never called"),
        ("https://a.chat.example/link", "not an address"),
        ("nowhere", "names no address"),
    ] {
        let mut desk = Desk::start().await;
        desk.chat.answers(json!({ "ok": true, "url": url }));
        desk.inbox().await;

        let socket = desk.until("waiting").await;

        let said = socket["why"].as_str().unwrap();
        assert!(said.contains(why) && !said.contains("secret"), "{url}: {said}");
        assert!(socket["until"].is_string());
        // What is put right is found without waiting for the next try.
        desk.chat.answers(None);
        assert_eq!(desk.check().await["state"], "ready");
        let _line = desk.chat.ready().await;
        desk.until("connected").await;
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_tried_again_until_there_is_another() {
    let mut desk = Desk::start().await;
    desk.chat.answers(json!({ "ok": false, "error": "invalid_auth" }));
    desk.inbox().await;

    let socket = desk.until("needs_sign_in").await;

    let said = socket["why"].as_str().unwrap();
    assert_eq!(said, "127.0.0.1 does not accept its token: invalid_auth.");
    assert!(socket["hint"].as_str().unwrap().starts_with("Enter what lets it in"), "{socket}");
    // It is the socket's own token: everything else goes on.
    let path = format!("/api/connections/{}", desk.connection);
    assert_eq!(desk.app.read(&path).await["state"], "ready");
    desk.chat.answers(None);
    desk.patch(json!({ "secrets": { "app_token": "xapp-2" } })).await;
    let _line = desk.chat.ready().await;
    desk.until("connected").await;
    assert_eq!(desk.chat.asked(), ["Bearer xapp-1", "Bearer xapp-2"]);
}

#[tokio::test]
async fn a_sign_in_that_is_over_is_over_for_the_connection_too() {
    let mut desk = Desk::with(&CONNECTOR.replace("  token: app_token\n", "")).await;
    desk.chat.answers(json!({ "ok": false, "error": "invalid_auth" }));
    desk.inbox().await;

    desk.until("needs_sign_in").await;

    let path = format!("/api/connections/{}", desk.connection);
    assert_eq!(desk.app.read(&path).await["state"], "needs_sign_in");
    desk.chat.answers(None);
    desk.patch(json!({ "secrets": { "token": "xoxb-2" } })).await;
    let _line = desk.chat.ready().await;
    desk.until("connected").await;
    assert_eq!(desk.chat.asked(), ["Bearer xoxb-1", "Bearer xoxb-2"]);
}

#[tokio::test]
async fn what_the_other_side_switches_off_stays_off_until_its_user_says_so() {
    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;

    line.say(json!({ "type": "disconnect", "reason": "link_disabled" })).await;

    let socket = desk.until("switched_off").await;
    assert!(socket["hint"].as_str().unwrap().starts_with("Switch it on"), "{socket}");
    assert_eq!(line.closed().await, 1000);
    assert_eq!(desk.chat.asked().len(), 1);
    desk.check().await;
    let _line = desk.chat.ready().await;
    desk.until("connected").await;
}

#[tokio::test]
async fn a_socket_is_closed_with_its_connection_its_inbox_and_the_engine() {
    let mut desk = Desk::start().await;
    let inbox = desk.inbox().await;
    let mut line = desk.chat.ready().await;
    desk.until("connected").await;

    desk.patch(json!({ "on": false })).await;
    assert_eq!(line.closed().await, 1000);
    desk.until_so("off", "switched off").await;
    desk.patch(json!({ "on": true })).await;
    let mut line = desk.chat.ready().await;
    desk.until("connected").await;

    let gone = desk.app.delete(&format!("/api/inboxes/{inbox}")).await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(line.closed().await, 1000);

    desk.inbox().await;
    let mut line = desk.chat.ready().await;
    desk.until("connected").await;
    let gone = desk.app.delete(&format!("/api/connections/{}", desk.connection)).await;
    assert!(gone.status.is_success(), "{}", gone.json());
    assert_eq!(line.closed().await, 1000);
    desk.until_so("off", "gone").await;
    assert!(desk.chat.is_idle());

    let mut desk = Desk::start().await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;
    desk.until("connected").await;
    desk.app.engine.stop().await;
    assert_eq!(line.closed().await, 1000);
}

#[tokio::test]
async fn a_silent_socket_is_asked_and_a_dead_one_is_replaced() {
    let quick = CONNECTOR.replace("socket:\n", "socket:\n  ping: 200ms\n");
    let mut desk = Desk::with(&quick).await;
    desk.inbox().await;
    let mut line = desk.chat.ready().await;
    desk.until("connected").await;

    // Whoever reads answers by itself: three times nothing happens.
    for _ in 0..3 {
        assert!(matches!(line.next().await, Some(Message::Ping(_))));
    }
    line.tell("e1", "Ev1").await;
    assert_eq!(line.hear().await, ack("e1"));
    assert_eq!(desk.chat.asked().len(), 1);

    // The line is there still, but nobody reads it.
    let mut new = desk.chat.ready().await;
    new.tell("e2", "Ev2").await;
    assert_eq!(new.hear().await, ack("e2"));
    assert_eq!(desk.events().await.len(), 2);
    drop(line);
}

#[tokio::test]
async fn a_provider_that_fails_is_tried_again_later_or_when_its_user_asks() {
    let mut desk = Desk::start().await;
    desk.chat.answers(json!({ "status": 500, "ok": false, "error": "internal" }));
    desk.inbox().await;

    let socket = desk.until("waiting").await;

    assert!(socket["why"].as_str().unwrap().contains("500"), "{socket}");
    let asked = desk.chat.asked().len();
    desk.chat.answers(None);
    desk.check().await;
    let _line = desk.chat.ready().await;
    desk.until("connected").await;
    assert_eq!(desk.chat.asked().len(), asked + 1);
}

#[tokio::test]
async fn a_socket_that_ends_before_it_is_ready_is_a_failure() {
    let mut desk =
        Desk::with(&CONNECTOR.replace("  ready:", "  ready_within: 200ms\n  ready:")).await;
    desk.inbox().await;

    let _silent = desk.chat.line().await;

    let socket = desk.until("waiting").await;
    assert!(socket["why"].as_str().unwrap().contains("not ready within 200ms"), "{socket}");
}

#[tokio::test]
async fn a_connection_that_cannot_open_a_socket_is_told_so() {
    let desk = Desk::start().await;
    let inbox = desk.inbox().await;
    let second = desk.choose().await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(second.json()["error"]["code"], "taken");

    for (way, secrets, code, said) in [
        ("header_token", json!({ "token": "xoxb-2" }), "invalid_field", "`app_token` is missing"),
        ("basic", json!({ "key": "k" }), "no_socket", "Chat has no socket"),
    ] {
        let made = json!({ "connector": "chat", "name": way, "way": way,
            "settings": { "url": desk.chat.url() }, "secrets": secrets });
        let made = desk.app.post("/api/connections", made).await.json();
        let request = json!({ "name": way, "connector": "chat", "connection": made["id"],
            "socket": true });
        let error = desk.app.post("/api/inboxes", request).await.json()["error"].clone();
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!(said)));
    }
    let request = json!({ "name": "Any", "connector": "any", "socket": true });
    let any = desk.app.post("/api/inboxes", request).await;
    assert_eq!(any.json()["error"]["code"], "no_socket", "{}", any.json());

    // It takes no webhooks, and misses no secret for them.
    let shown = desk.app.read(&format!("/api/inboxes/{inbox}")).await;
    assert_eq!(shown["registration"]["state"], "socket");
    assert_eq!((&shown["missing_secrets"], &shown["signed"]), (&json!([]), &json!(true)));
    let url: url::Url = shown["local_url"].as_str().unwrap().parse().unwrap();
    let request = http::Request::post(url.path()).body("{}".to_owned().into()).unwrap();
    assert_eq!(desk.app.knock(request).await.status, StatusCode::NOT_FOUND);
    let offer = desk.app.read("/api/connectors/chat").await;
    assert_eq!(offer["socket"], json!({ "ways": ["header_token"], "token": "app_token" }));
}
