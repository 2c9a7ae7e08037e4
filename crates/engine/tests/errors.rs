//! What a connector says of errors, as calls of a connection see it: which of them renew a token,
//! which end a sign-in, and which are no errors of the credentials at all.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use domain::connection::ConnectionState;
use domain::id::ConnectionId;
use domain::secret::{Secret, Secrets};
use engine::clock::SystemClock;
use engine::connection::{ConnectionRequest, Error};
use engine::data_dir::DataDir;
use engine::tunnel::Environment;
use engine::vault::Vault;
use engine::{Config, Engine, outgoing};
use serde_json::json;

const ACME: &str = r#"
format: 1
id: acme
name: Acme
status: documented
settings: { url: { title: Address, pattern: 'http://127\.0\.0\.1:[0-9]+' } }
base_url: "{{ settings.url }}"
auth:
  - title: App
    client_credentials: { token_url: "{{ settings.url }}/token", client: form }
check: { get: /me, account: .name }
errors:
  code: .[0].errorCode
  message: .[0].message
  in_200: { when: .ok == false, code: .error }
  renew: [{ status: 403, code: SESSION_EXPIRED }, token_expired]
  dead: [account_inactive, { status: 403, code: [GONE, CLOSED] }]
"#;

/// What the next calls are answered; then whoever carries the newest token is let in.
#[derive(Clone, Default)]
struct Provider {
    answers: Arc<Mutex<Vec<(u16, serde_json::Value)>>>,
    tokens: Arc<Mutex<u32>>,
    calls: Arc<Mutex<Vec<String>>>,
}

struct Acme {
    provider: Provider,
    engine: Engine,
    id: ConnectionId,
    _folder: tempfile::TempDir,
}

async fn token(State(provider): State<Provider>) -> String {
    let mut tokens = provider.tokens.lock().unwrap();
    *tokens += 1;
    json!({ "access_token": format!("t{tokens}"), "expires_in": 3600 }).to_string()
}

async fn me(State(provider): State<Provider>, headers: HeaderMap) -> (StatusCode, String) {
    let carried = headers["authorization"].to_str().unwrap().to_owned();
    provider.calls.lock().unwrap().push(carried);
    let mut answers = provider.answers.lock().unwrap();
    let (status, body) =
        if answers.is_empty() { (200, json!({ "name": "Ada" })) } else { answers.remove(0) };
    (StatusCode::from_u16(status).unwrap(), body.to_string())
}

impl Acme {
    async fn start() -> Self {
        let provider = Provider::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/token", post(token))
            .route("/me", get(me))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("connectors/acme")).unwrap();
        std::fs::write(data.join("connectors/acme/connector.yaml"), ACME).unwrap();
        let config = Config {
            data_dir: DataDir::own(&data).unwrap(),
            clock: Arc::new(SystemClock),
            vault: Vault::memory(),
            environment: Environment::new([]),
            sandbox: None,
        };
        let engine = Engine::open(config).await.unwrap();
        let mut secrets = Secrets::new();
        secrets.set("client_secret", Secret::new("canary".into()));
        let settings = [("url", url.as_str()), ("client_id", "us")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let made = engine
            .create_connection(ConnectionRequest {
                connector: "acme".into(),
                name: "Acme".into(),
                way: None,
                settings: BTreeMap::from(settings),
                secrets,
            })
            .await
            .unwrap();
        let id = made.connection.id;
        // What the first check did is not what is looked at.
        provider.calls.lock().unwrap().clear();
        *provider.tokens.lock().unwrap() = 1;
        Self { provider, engine, id, _folder: folder }
    }

    async fn check(&self, answers: &[(u16, serde_json::Value)]) -> Result<(), Error> {
        *self.provider.answers.lock().unwrap() = answers.to_vec();
        self.engine.check_connection(self.id).await.map(drop)
    }

    fn tokens(&self) -> u32 {
        *self.provider.tokens.lock().unwrap()
    }

    fn calls(&self) -> usize {
        self.provider.calls.lock().unwrap().len()
    }

    async fn state(&self) -> ConnectionState {
        self.engine.connection(self.id).await.unwrap().connection.connection.state
    }
}

fn fault(code: &str) -> serde_json::Value {
    json!([{ "errorCode": code, "message": format!("it is {code}") }])
}

#[tokio::test]
async fn an_answer_that_means_renew_renews_once_and_the_call_is_made_again() {
    for answer in [
        (401, json!({})),
        (403, fault("SESSION_EXPIRED")),
        (200, json!({ "ok": false, "error": "token_expired" })),
        (400, fault("token_expired")),
    ] {
        let acme = Acme::start().await;

        acme.check(std::slice::from_ref(&answer))
            .await
            .unwrap_or_else(|error| panic!("{answer:?}: {error}"));

        assert_eq!((acme.tokens(), acme.calls()), (2, 2), "{answer:?}");
        let calls = acme.provider.calls.lock().unwrap().clone();
        assert_ne!(calls[0], calls[1], "{answer:?}");
        assert_eq!(acme.state().await, ConnectionState::Ready);
    }
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_ends_the_sign_in_and_asks_for_no_third() {
    let acme = Acme::start().await;
    let expired = || (403, fault("SESSION_EXPIRED"));

    let answer = acme.check(&[expired(), expired(), expired()]).await;

    assert!(matches!(answer, Err(Error::Check(outgoing::Error::SignIn(_)))), "{answer:?}");
    assert_eq!((acme.tokens(), acme.calls()), (2, 2));
    assert!(matches!(acme.state().await, ConnectionState::NeedsSignIn { .. }));
}

#[tokio::test]
async fn an_answer_that_means_dead_ends_the_sign_in_at_once() {
    for (answer, says) in [
        ((200, json!({ "ok": false, "error": "account_inactive" })), "account_inactive"),
        ((403, fault("GONE")), "it is GONE"),
        ((403, fault("CLOSED")), "it is CLOSED"),
    ] {
        let acme = Acme::start().await;

        let refused = acme.check(&[answer]).await.unwrap_err().to_string();

        assert!(refused.contains(says), "{refused}");
        assert_eq!((acme.tokens(), acme.calls()), (1, 1), "{says}");
        match acme.state().await {
            ConnectionState::NeedsSignIn { why, .. } => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_means_neither_leaves_the_sign_in_alone() {
    for answer in [
        (403, fault("NO_RIGHT")),
        (400, fault("GONE")),
        (200, json!({ "ok": false, "error": "no_such_thing" })),
    ] {
        let acme = Acme::start().await;

        let refused = acme.check(std::slice::from_ref(&answer)).await;

        assert!(
            matches!(refused, Err(Error::Check(outgoing::Error::Status { .. }))),
            "{answer:?}: {refused:?}"
        );
        assert_eq!((acme.tokens(), acme.calls()), (1, 1), "{answer:?}");
        assert_eq!(acme.state().await, ConnectionState::Ready);
    }
}
