//! Registrations at a sender whose every answer a test decides.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri};
use bytes::Bytes;
use domain::connection::NewConnection;
use domain::id::ConnectionId;
use domain::inbox::NewInbox;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Config;
use crate::clock::SystemClock;
use crate::data_dir::DataDir;
use crate::inbox::InboxRequest;
use crate::tunnel::{Environment, ServeIngress, TunnelRequest};
use crate::vault::Vault;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sender that answers in turn what it was told to, and notes what it was asked.
#[derive(Clone, Default)]
struct Sender {
    answers: Arc<Mutex<VecDeque<Value>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    heard: Arc<Notify>,
}

impl Sender {
    /// Waits until it was asked for `path`.
    async fn until_asked(&self, path: &str) {
        let asked = async {
            while !self.asked.lock().unwrap().iter().any(|(asked, _)| asked == path) {
                self.heard.notified().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, asked).await;
        assert!(in_time.is_ok(), "{path} never came: {:?}", self.asked.lock().unwrap());
    }
}

/// Serves a tunnel: the first probe finds nobody.
#[derive(Default)]
struct LateIngress {
    was_knocked: Arc<AtomicBool>,
}

impl ServeIngress for LateIngress {
    fn serve(
        &self,
        engine: Engine,
        listener: tokio::net::TcpListener,
        _: Option<http::HeaderName>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let address = listener.local_addr().unwrap();
        let was_knocked = Arc::clone(&self.was_knocked);
        let probed = async move |Path(key): Path<String>, body: Bytes| {
            if !was_knocked.swap(true, Ordering::Relaxed) {
                return (StatusCode::SERVICE_UNAVAILABLE, Bytes::new());
            }
            let answer = engine.answer_probe(address, &key, &body).unwrap();
            (StatusCode::from_u16(answer.status).unwrap(), answer.body)
        };
        let routes = Router::new().route("/in/{key}", axum::routing::post(probed));
        Box::pin(async move {
            let served =
                axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
            served.await.unwrap();
        })
    }
}

async fn answer(
    State(sender): State<Sender>,
    method: Method,
    uri: Uri,
    body: String,
) -> (StatusCode, axum::Json<Value>) {
    let body = serde_json::from_str(&body).unwrap_or_default();
    sender.asked.lock().unwrap().push((format!("{method} {uri}"), body));
    sender.heard.notify_one();
    let mut answer = sender.answers.lock().unwrap().pop_front().unwrap_or(json!({}));
    if answer["echo"] == true {
        answer["why"] = json!(format!("told: {}", sender.asked.lock().unwrap().last().unwrap().1));
    }
    let status = answer["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer))
}

struct Bench {
    engine: Engine,
    sender: Sender,
    inbox: InboxId,
    connection: ConnectionId,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// An engine with an inbox of a connection whose connector registers as `register` says.
    async fn start(register: &str) -> Self {
        Self::start_with("standard_webhooks", register).await
    }

    /// As [`Bench::start`], with another proof.
    async fn start_with(verify: &str, register: &str) -> Self {
        let sender = Sender::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(sender.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("connectors/test");
        std::fs::create_dir_all(&folder).unwrap();
        let connector = format!(
            "format: 1\nid: test\nname: Test\nstatus: documented\n\
             settings: {{ url: {{ title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' }} }}\n\
             base_url: '{{{{ settings.url }}}}'\n\
             auth: [{{ none: {{}}, fields: {{ auth_token: &s {{ title: S, secret: true, optional: true }}, hook_secret: *s }} }}]\n\
             streams:\n  forms: {{ get: /forms, records: .items, key: .id }}\n\
             webhooks:\n  verify: {verify}\n  topics: [a, b]\n{register}\n"
        );
        std::fs::write(folder.join("connector.yaml"), connector).unwrap();
        let config = Config {
            data_dir: DataDir::own(dir.path()).unwrap(),
            clock: Arc::new(SystemClock),
            vault: Vault::memory(),
            environment: Environment::new([]),
            sandbox: None,
        };
        let engine = Engine::open(config).await.unwrap();
        let connection = NewConnection {
            connector: "test".into(),
            name: "Test".into(),
            way: "none".into(),
            settings: [("url".to_owned(), url)].into(),
            sandbox: false,
            state: ConnectionState::Ready,
            given_to: None,
        };
        let store = &engine.inner.store;
        let connection = store.create_connection(connection, engine.now()).await.unwrap();
        let inbox = orders(connection.id);
        let inbox = store.create_inbox(inbox, engine.now()).await.unwrap().id;
        Self { engine, sender, inbox, connection: connection.id, _dir: dir }
    }

    /// Registers with these answers. What was asked.
    async fn register(&self, answers: impl IntoIterator<Item = Value>) -> Vec<(String, Value)> {
        self.sender.answers.lock().unwrap().extend(answers);
        let inbox = self.engine.inner.store.inbox(self.inbox).await.unwrap();
        self.engine.register(&inbox, false).await.unwrap();
        std::mem::take(&mut *self.sender.asked.lock().unwrap())
    }

    async fn ids(&self) -> Option<String> {
        let inbox = self.engine.inner.store.inbox(self.inbox).await.unwrap();
        match inbox.inbox.registration {
            Registration::Registered { external_id, .. } => external_id,
            other => panic!("{other:?}"),
        }
    }

    async fn signing_secret(&self) -> String {
        self.secret(SIGNING_SECRET).await
    }

    async fn secret(&self, name: &str) -> String {
        let inbox = self.engine.inner.store.inbox(self.inbox).await.unwrap();
        let owner = self.inbox.to_string();
        let secrets = self.engine.inner.vault.read(&owner, inbox.secrets.unwrap()).await.unwrap();
        secrets.get(name).unwrap().expose().to_owned()
    }

    /// Gives the connection a secret.
    async fn keep(&self, name: &str, value: &str) -> Connection {
        let mut secrets = Secrets::new();
        secrets.set(name, Secret::new(value.into()));
        let connection = self.engine.inner.store.connection(self.connection).await.unwrap();
        self.engine.keep_secrets(&connection, &secrets, None).await.unwrap();
        self.engine.inner.store.connection(self.connection).await.unwrap()
    }

    /// Makes another inbox of the connection, as its user does; it is the one from here on.
    async fn make(&mut self, by_hand: bool) {
        let request = InboxRequest {
            name: "By hand".into(),
            connector: "test".into(),
            connection: Some(self.connection),
            by_hand,
            socket: false,
            settings: Default::default(),
            secrets: Secrets::new(),
        };
        self.inbox = self.engine.create_inbox(request).await.unwrap().inbox.id;
    }

    fn url(&self) -> String {
        self.engine.inner.inboxes.local_url(KEY)
    }
}

/// An inbox whose address is told as it is, without a tunnel.
fn orders(connection: ConnectionId) -> NewInbox {
    NewInbox {
        name: "Orders".into(),
        connector: "test".into(),
        connection: Some(connection),
        settings: Default::default(),
        key: KEY.into(),
        sandbox: true,
        registration: Registration::Waiting,
    }
}

fn paths(asked: &[(String, Value)]) -> Vec<&str> {
    asked.iter().map(|(path, _)| path.as_str()).collect()
}

#[tokio::test]
async fn graphql_registers_each_topic_once() {
    let bench = Bench::start(
        "register:\n  graphql:\n    \
         create: { graphql: 'mutation($u: String!, $t: String!) { create(u: $u, t: $t) { id } }', variables: { u: '{{ inbox.url }}', t: '{{ topic }}' } }\n    \
         created_id: .data.create.id\n    list: 'query { hooks { nodes { id uri } } }'\n    \
         items: .data.hooks.nodes\n    id: .id\n    url: .uri\n  each: topic\n",
    )
    .await;
    let listed = |nodes: Value| json!({ "data": { "hooks": { "nodes": nodes } } });
    let created = |id: &str| json!({ "data": { "create": { "id": id } } });

    let asked = bench.register([listed(json!([])), created("1"), created("2")]).await;

    assert_eq!(paths(&asked), ["POST /graphql"; 3]);
    assert_eq!(asked[2].1["variables"], json!({ "u": bench.url(), "t": "b" }));
    assert_eq!(bench.ids().await.as_deref(), Some("1,2"));

    let entry = |id: &str| json!({ "id": id, "uri": bench.url() });
    for newest_last in [json!([entry("1"), entry("2")]), json!([entry("2"), entry("1")])] {
        let asked = bench.register([listed(newest_last)]).await;
        assert_eq!(asked.len(), 1, "what is there is not made again");
    }
}

#[tokio::test]
async fn what_is_signed_with_the_secret_of_another_entry_or_of_the_last_registration_is_proved() {
    let bench = Bench::start(
        "register: { rest: { create: { post: /hooks }, id: .id }, each: topic, secret: { answer: .secret } }\n",
    )
    .await;
    let made = |n: u32| json!({ "id": n.to_string(), "secret": format!("s{n}") });
    let kept = async || {
        let inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
        let secrets = bench.engine.signing_secrets(&inbox).await.unwrap();
        secrets.iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>()
    };
    let again = async || {
        let store = &bench.engine.inner.store;
        store.set_inbox_registration(bench.inbox, Registration::Waiting).await.unwrap();
    };

    bench.register([made(1), made(2)]).await;
    assert_eq!(kept().await, ["s2", "s1"]);
    again().await;
    bench.register([made(3), made(4)]).await;
    assert_eq!(kept().await, ["s4", "s3", "s2", "s1"]);
    again().await;
    bench.register([made(5), made(6)]).await;
    assert_eq!(kept().await, ["s6", "s5", "s4", "s3"]);
}

#[tokio::test]
async fn an_inbox_takes_no_connection_of_another_connector() {
    let bench = Bench::start(UNLISTED).await;
    let request = InboxRequest {
        name: "Other".into(),
        connector: "standard-webhooks".into(),
        connection: Some(bench.connection),
        by_hand: false,
        socket: false,
        settings: Default::default(),
        secrets: Secrets::new(),
    };

    let outcome = bench.engine.create_inbox(request).await;

    assert!(matches!(outcome, Err(Error::Field { field, .. }) if field == "connection"));
}

#[tokio::test]
async fn where_nobody_knows_what_its_sender_signs_with_its_user_is_asked() {
    let shared = UNLISTED.replace(" }\n", ", secret: { connection: hook_secret } }\n");
    let mut bench = Bench::start(&shared).await;

    bench.make(false).await;
    let without = bench.engine.inbox(bench.inbox).await.unwrap();
    bench.engine.delete_inbox(bench.inbox).await.unwrap();
    bench.keep("hook_secret", "whsec_c2VjcmV0").await;
    bench.make(false).await;
    let with = bench.engine.inbox(bench.inbox).await.unwrap();

    assert_eq!(without.inbox.inbox.registration, Registration::ByHand);
    assert_eq!(without.missing_secrets, ["signing_secret"]);
    assert_eq!(with.inbox.inbox.registration, Registration::Waiting);
    assert_eq!(with.missing_secrets, [""; 0]);
}

#[tokio::test]
async fn once_its_connection_is_deleted_an_inbox_is_told_by_hand() {
    let bench = Bench::start(UNLISTED).await;
    bench.register([json!({ "id": "7" })]).await;

    bench.engine.delete_connection(bench.connection).await.unwrap();

    assert_eq!(paths(&bench.sender.asked.lock().unwrap()), ["DELETE /hooks/7"]);
    let inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
    assert_eq!(inbox.inbox.registration, Registration::ByHand);
}

#[tokio::test]
async fn a_secret_that_a_sender_is_told_is_shown_nowhere_when_it_refuses() {
    let bench = Bench::start(
        "register: { rest: { create: { post: /hooks, json: { s: '{{ secret }}' } }, id: .id }, secret: ours }\n\
         errors: { message: .why }\n",
    )
    .await;
    let inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
    let heard = bench.sender.clone();
    // The sender says again what it was told.
    bench.sender.answers.lock().unwrap().push_back(json!({ "status": 400, "echo": true }));

    bench.engine.register(&inbox, false).await.unwrap();

    let (_, told) = heard.asked.lock().unwrap()[0].clone();
    let secret = told["s"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    let inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
    let Registration::Failed { why, .. } = &inbox.inbox.registration else { panic!("{inbox:?}") };
    assert!(why.contains("told: "), "{why}");
    let exchanges = format!("{:?}", bench.engine.exchanges(bench.connection).await.unwrap());
    assert!(exchanges.contains("/hooks"), "{exchanges}");
    for shown in [why.as_str(), &exchanges] {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

/// A sender with an entry for each inbox, which it lists nowhere.
const UNLISTED: &str = "register: { rest: { create: { post: /hooks }, id: .id, remove: { delete: '/hooks/{{ id }}' } } }\n";

#[tokio::test]
async fn a_sender_forgets_a_deleted_inbox_as_soon_as_it_can_be_told() {
    let bench = Bench::start(UNLISTED).await;
    bench.register([json!({ "id": "7" })]).await;
    let store = &bench.engine.inner.store;
    bench.sender.answers.lock().unwrap().push_back(json!({ "status": 403 }));

    bench.engine.delete_inbox(bench.inbox).await.unwrap();

    assert!(bench.engine.inboxes().await.unwrap().is_empty());
    bench.engine.switch_connection(bench.connection, false).await.unwrap();
    std::mem::take(&mut *bench.sender.asked.lock().unwrap());
    withdrawal::finish(&bench.engine).await;
    assert!(bench.sender.asked.lock().unwrap().is_empty(), "nobody could be told now");

    bench.engine.switch_connection(bench.connection, true).await.unwrap();
    for _ in 0..2 {
        withdrawal::finish(&bench.engine).await;
    }

    assert_eq!(paths(&bench.sender.asked.lock().unwrap()), ["DELETE /hooks/7"]);
    assert!(bench.engine.finish_deletions().await);
    assert_eq!(store.doomed_inboxes().await.unwrap(), []);
}

#[tokio::test]
async fn a_sender_that_refuses_to_forget_an_inbox_is_not_asked_again() {
    for (status, again) in [(422, false), (403, true)] {
        let bench = Bench::start(UNLISTED).await;
        bench.register([json!({ "id": "7" })]).await;
        bench.sender.answers.lock().unwrap().push_back(json!({ "status": status }));

        bench.engine.delete_inbox(bench.inbox).await.unwrap();
        withdrawal::finish(&bench.engine).await;

        let asked = bench.sender.asked.lock().unwrap().len();
        assert_eq!(asked, 1 + usize::from(again), "{status}");
    }
}

#[tokio::test]
async fn what_was_told_of_an_inbox_that_is_deleted_meanwhile_is_taken_back() {
    let bench = Bench::start(UNLISTED).await;
    let inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
    bench.engine.delete_inbox(bench.inbox).await.unwrap();
    let url = bench.url();

    let outcome = bench.engine.note_registered(&inbox, url, vec!["7".into()]).await;

    assert!(outcome.is_err());
    assert_eq!(paths(&bench.sender.asked.lock().unwrap()), ["DELETE /hooks/7"]);
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let bench = Bench::start(
        "register:\n  rest: { create: { post: /hooks, json: { url: '{{ inbox.url }}' } }, id: .id, \
         list: { get: /hooks }, items: .hooks, url: .url, \
         page: { cursor: { param: after, at: .next } }, remove: { delete: '/hooks/{{ id }}' } }\n",
    )
    .await;
    let elsewhere = json!({ "hooks": [{ "id": 1, "url": "https://elsewhere.example/" }] });
    bench.register([elsewhere.clone(), json!({ "id": 2 })]).await;
    let first = json!({ "next": "p2", "hooks": elsewhere["hooks"] });
    let ours = json!({ "hooks": [{ "id": 2, "url": bench.url() }] });

    let asked = bench.register([first, ours]).await;

    assert_eq!(paths(&asked), ["GET /hooks", "GET /hooks?after=p2"]);
    assert_eq!(bench.ids().await.as_deref(), Some("2"));
}

#[tokio::test]
async fn what_a_list_does_not_show_is_removed_before_it_is_made_anew() {
    let bench = Bench::start(
        "register:\n  rest: { create: { post: /hooks, json: { url: '{{ inbox.url }}' } }, id: .id, \
         list: { get: /hooks }, items: .hooks, url: .url, remove: { delete: '/hooks/{{ id }}' } }\n",
    )
    .await;
    let none = json!({ "hooks": [] });
    bench.register([none.clone(), json!({ "id": 2 })]).await;

    let asked = bench.register([none, json!({}), json!({ "id": 3 })]).await;

    assert_eq!(paths(&asked), ["GET /hooks", "DELETE /hooks/2", "POST /hooks"]);
    assert_eq!(bench.ids().await.as_deref(), Some("3"));

    // The user leads it elsewhere: it is theirs.
    let elsewhere = json!({ "hooks": [{ "id": 3, "url": "https://elsewhere.example/" }] });
    let asked = bench.register([elsewhere, json!({ "id": 4 })]).await;

    assert_eq!(paths(&asked), ["GET /hooks", "POST /hooks"]);
    assert_eq!(bench.ids().await.as_deref(), Some("4"));
}

#[tokio::test]
async fn an_entry_without_an_id_is_known_by_its_address() {
    let bench = Bench::start(
        "register:\n  rest: { create: { post: /hooks, form: { url: '{{ inbox.url }}' } }, id: address, \
         list: { get: /hooks }, items: '.hooks[].urls[] | { url: . }', url: .url, \
         remove: { delete: /hooks, query: { url: '{{ id }}' } } }\n",
    )
    .await;
    let url = bench.url();
    let listed = |urls: &[&str]| json!({ "hooks": { "delivered": { "urls": urls } } });

    let asked = bench.register([listed(&["https://elsewhere.example/"])]).await;
    assert_eq!(paths(&asked), ["GET /hooks", "POST /hooks"]);
    assert_eq!(bench.ids().await, Some(url.clone()));
    let asked = bench.register([listed(&[&url, "https://elsewhere.example/"])]).await;
    assert_eq!(paths(&asked), ["GET /hooks"]);
    let old = format!("https://old.example/in/{KEY}");
    let asked = bench.register([listed(&[&old])]).await;

    let deleted =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("url", &old).finish();
    assert_eq!(paths(&asked), ["GET /hooks", &format!("DELETE /hooks?{deleted}"), "POST /hooks"]);
}

#[tokio::test]
async fn a_key_that_is_asked_for_before_is_there_when_the_address_is_told() {
    let yaml = "register:\n  single: { set: { put: /app, json: { url: '{{ inbox.url }}' } }, \
                get: { get: /app }, url: .url }\n  \
                secret: { get: { call: { get: /key }, at: .verify_key, before: true } }\n";
    let bench = Bench::start_with(
        "{ ed25519: { message: body, key: public_key, header: x-s, encoding: hex } }",
        yaml,
    )
    .await;

    let asked = bench.register([json!({}), json!({ "verify_key": "ab" })]).await;

    assert_eq!(paths(&asked), ["GET /app", "GET /key", "PUT /app"]);
    assert_eq!(bench.secret("public_key").await, "ab");

    let later = yaml.replace(", before: true", "");
    let bench = Bench::start_with("standard_webhooks", &later).await;
    let answers = [json!({}), json!({}), json!({ "verify_key": "cd" })];
    let asked = bench.register(answers).await;

    assert_eq!(paths(&asked), ["GET /app", "PUT /app", "GET /key"]);
    assert_eq!(bench.signing_secret().await, "cd");
}

#[tokio::test]
async fn each_record_of_a_parent_has_an_entry_of_its_own() {
    let bench = Bench::start(
        "register:\n  rest:\n    \
         create: { put: '/forms/{{ parent.id }}/webhooks/{{ inbox.tag }}', json: { url: '{{ inbox.url }}', secret: '{{ secret }}' } }\n    \
         id: .tag\n    list: { get: '/forms/{{ parent.id }}/webhooks' }\n    items: .items\n    url: .url\n    \
         remove: { delete: '/forms/{{ parent.id }}/webhooks/{{ id }}' }\n  \
         each: { parent: forms }\n  secret: { ours_as: { encoding: hex, bytes: 20 } }\n",
    )
    .await;
    let forms = json!({ "items": [{ "id": "f1" }, { "id": "f2" }] });
    let none = json!({ "items": [] });
    let made = json!({ "tag": "t" });

    let asked = bench
        .register([forms.clone(), none.clone(), none, forms.clone(), made.clone(), made])
        .await;

    let made: Vec<_> = paths(&asked).into_iter().filter(|path| path.starts_with("PUT")).collect();
    assert_eq!(made.len(), 2);
    assert!(made[0].starts_with("PUT /forms/f1/webhooks/patchbay-"), "{made:?}");
    assert_eq!(bench.ids().await.as_deref(), Some("f1/t,f2/t"));
    let secret = bench.signing_secret().await;
    assert_eq!(secret.len(), 40);
    assert_eq!(asked.last().unwrap().1["secret"], json!(secret));

    // What is there is looked at, and a form that was not there before has no entry.
    let entry = || json!({ "items": [{ "tag": "t", "url": bench.url() }] });
    let asked = bench.register([forms.clone(), entry(), entry()]).await;
    assert_eq!(asked.len(), 3, "{asked:?}");
    let three = json!({ "items": [{ "id": "f1" }, { "id": "f2" }, { "id": "f3" }] });
    let made = || json!({ "tag": "t" });
    let none = json!({ "items": [] });
    let asked = bench
        .register([
            three.clone(),
            entry(),
            entry(),
            none,
            json!({}),
            json!({}),
            three,
            made(),
            made(),
            made(),
        ])
        .await;
    assert_eq!(asked.iter().filter(|(path, _)| path.starts_with("PUT /forms/f3")).count(), 1);
    assert_eq!(bench.ids().await.as_deref(), Some("f1/t,f2/t,f3/t"));

    // A form is gone, so what is there is taken back and made anew for those that are.
    let entry = json!({ "items": [{ "tag": "t", "url": bench.url() }] });
    let one = json!({ "items": [{ "id": "f2" }] });
    let asked = bench.register([one.clone(), entry, json!({}), one, json!({ "tag": "t" })]).await;
    assert!(paths(&asked).contains(&"DELETE /forms/f2/webhooks/t"), "{asked:?}");
    assert_eq!(bench.ids().await.as_deref(), Some("f2/t"));
}

#[tokio::test]
async fn the_one_address_of_an_app_is_set_and_recognised() {
    let bench = Bench::start(
        "register:\n  single: { set: { put: /settings, json: { targetUrl: '{{ inbox.url }}' } }, \
         get: { get: /settings }, url: .targetUrl, topics: { post: /subscriptions, json: { eventType: '{{ topic }}' } } }\n",
    )
    .await;
    let elsewhere = json!({ "targetUrl": "https://elsewhere.example/in/other" });

    let asked = bench.register([elsewhere]).await;

    assert_eq!(
        paths(&asked),
        ["GET /settings", "PUT /settings", "POST /subscriptions", "POST /subscriptions"]
    );
    assert_eq!(asked[3].1, json!({ "eventType": "b" }));
    let asked = bench.register([json!({ "targetUrl": bench.url() })]).await;
    assert_eq!(paths(&asked), ["GET /settings"]);
}

#[tokio::test]
async fn a_secret_may_come_with_a_later_call_and_what_is_off_is_switched_on() {
    let bench = Bench::start(
        "register:\n  rest: { create: { post: /webhooks, json: { endpoint: '{{ inbox.url }}' } }, id: .id, \
         created_id: .webhook.id, list: { get: /webhooks }, items: .webhooks, url: .endpoint }\n  \
         secret: { get: { call: { get: '/webhooks/{{ id }}/signing_secret' }, at: .secret } }\n  \
         health: { active: '.status == \"active\"', enable: { patch: '/webhooks/{{ id }}', json: { status: active } } }\n",
    )
    .await;

    let asked = bench
        .register([
            json!({ "webhooks": [] }),
            json!({ "webhook": { "id": "w1" } }),
            json!({ "secret": "canary" }),
        ])
        .await;
    assert_eq!(
        paths(&asked),
        ["GET /webhooks", "POST /webhooks", "GET /webhooks/w1/signing_secret"]
    );
    assert_eq!(bench.signing_secret().await, "canary");

    let off =
        json!({ "webhooks": [{ "id": "w1", "endpoint": bench.url(), "status": "disabled" }] });
    let asked = bench.register([off]).await;
    assert_eq!(paths(&asked), ["GET /webhooks", "PATCH /webhooks/w1"]);
    assert_eq!(asked[1].1, json!({ "status": "active" }));
}

#[tokio::test]
async fn a_secret_of_the_connection_is_that_of_its_inbox() {
    let bench = Bench::start(
        "register:\n  rest: { create: { post: /hooks, json: { url: '{{ inbox.url }}' } }, id: .id }\n  \
         secret: { connection: auth_token }\n",
    )
    .await;
    bench.keep("auth_token", "canary").await;

    let asked = bench.register([json!({ "id": "h1" })]).await;

    assert_eq!(bench.signing_secret().await, "canary");
    assert!(!asked[0].1.to_string().contains("canary"), "it is not told to the sender");
}

#[tokio::test]
async fn what_the_user_does_by_hand_is_not_said_to_be_done() {
    let bench = Bench::start("register: { manual: { steps: '1. Copy the address.' } }\n").await;

    assert_eq!(bench.register([]).await, []);

    let inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
    assert_eq!(inbox.inbox.registration, Registration::Waiting);
}

#[tokio::test]
async fn an_inbox_that_is_told_by_hand_has_the_secret_of_its_connection_and_never_asks_for_it() {
    let mut bench = Bench::start(
        "register: { manual: { steps: '1. Copy the address.' }, secret: { connection: auth_token } }\n",
    )
    .await;
    bench.keep("auth_token", "canary").await;

    bench.make(false).await;

    assert_eq!(bench.signing_secret().await, "canary");
    assert_eq!(bench.engine.inbox(bench.inbox).await.unwrap().missing_secrets, [""; 0]);

    let connection = bench.keep("auth_token", "another").await;
    bench.engine.share_secrets(&connection).await.unwrap();

    assert_eq!(bench.signing_secret().await, "another");
}

#[tokio::test]
async fn what_its_user_tells_by_hand_is_left_to_them_though_calls_could() {
    let mut bench = Bench::start(
        "register:\n  rest: { create: { post: /hooks, json: { url: '{{ inbox.url }}' } }, id: .id }\n  \
         secret: { connection: auth_token }\n",
    )
    .await;
    bench.keep("auth_token", "canary").await;

    bench.make(true).await;

    let mut inbox = bench.engine.inner.store.inbox(bench.inbox).await.unwrap();
    assert_eq!(inbox.secrets, None, "what is made by hand is signed with another");
    // It has an address that could be told.
    inbox.inbox.sandbox = true;
    bench.engine.register(&inbox, false).await.unwrap();
    assert_eq!(*bench.sender.asked.lock().unwrap(), []);
}

#[tokio::test]
async fn a_sender_is_told_as_soon_as_the_address_is_proved() {
    let bench = Bench::start(
        "register:\n  rest: { create: { post: /hooks, json: { url: '{{ inbox.url }}' } }, id: .id }\n",
    )
    .await;
    let key = "zyxwvutsrqponmlkjihgfedcba";
    let store = &bench.engine.inner.store;
    let inbox = NewInbox { sandbox: false, key: key.into(), ..orders(bench.connection) };
    store.create_inbox(inbox, bench.engine.now()).await.unwrap();
    store.delete_inbox(bench.inbox).await.unwrap();
    let api = "http://127.0.0.1:1".parse().unwrap();
    bench.engine.start(api, Arc::new(LateIngress::default())).await;

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let address = format!("http://127.0.0.1:{port}");
    let tunnel = TunnelRequest {
        kind: "own-url".into(),
        name: String::new(),
        settings: [("public_url", address.clone()), ("port", port.to_string())]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        secrets: Secrets::new(),
    };
    let tunnel = bench.engine.create_tunnel(tunnel).await.unwrap().tunnel.id;
    bench.engine.start_tunnel(tunnel).await.unwrap();

    bench.sender.until_asked("POST /hooks").await;

    let (_, told) = bench.sender.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(told, json!({ "url": format!("{address}/in/{key}") }));
}
