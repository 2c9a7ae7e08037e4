//! Secrets that a sender says in a handshake: stored before they are answered, and said once.

use std::sync::Arc;

use bytes::Bytes;
use domain::refusal::Reason;
use domain::secret::Secrets;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Delivery, InboxRequest, Received};
use crate::clock::SystemClock;
use crate::data_dir::DataDir;
use crate::tunnel::Environment;
use crate::vault::Vault;
use crate::{Config, Engine};

const CONNECTOR: &str = "format: 1
id: test
name: Test
status: documented
webhooks:
  verify: { hmac: { sha256: body, key: signing_secret, header: x-hook-signature, encoding: hex } }
  handshake: { echo: { header: x-hook-secret }, in_header: x-hook-secret, keep: signing_secret }
";
const SAID: &str = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";
/// The hex HMAC-SHA256 of `{}` with that.
const SIGNATURE: &str = "39f1fb4a4359a0385c33a84aea39e4589b2076d13a00af907a2e47fe16d2668a";

struct Bench {
    engine: Engine,
    key: String,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("connectors/test");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), CONNECTOR).unwrap();
        let config = Config {
            data_dir: DataDir::own(dir.path()).unwrap(),
            clock: Arc::new(SystemClock),
            vault: Vault::memory(),
            environment: Environment::new([]),
            sandbox: None,
        };
        let engine = Engine::open(config).await.unwrap();
        let request = InboxRequest {
            name: "Test".into(),
            connector: "test".into(),
            connection: None,
            by_hand: true,
            socket: false,
            settings: std::collections::BTreeMap::new(),
            secrets: Secrets::new(),
        };
        let inbox = engine.create_inbox(request).await.unwrap();
        assert_eq!(inbox.missing_secrets, Vec::<String>::new(), "the sender says it");
        Self { engine, key: inbox.inbox.inbox.key, _dir: dir }
    }

    async fn post(&self, name: &'static str, value: &str) -> Received {
        let value = HeaderValue::from_str(value).unwrap();
        let delivery = Delivery {
            method: Method::POST,
            uri: format!("/in/{}", self.key).parse().unwrap(),
            headers: HeaderMap::from_iter([(HeaderName::from_static(name), value)]),
            body: Bytes::from_static(b"{}"),
            address: None,
        };
        self.engine.receive(&self.key, delivery).await
    }

    async fn say(&self, secret: &str) -> Received {
        self.post("x-hook-secret", secret).await
    }

    async fn sign(&self) -> Received {
        self.post("x-hook-signature", SIGNATURE).await
    }
}

fn is_echo(received: &Received, secret: &str) -> bool {
    let header = ("x-hook-secret".to_owned(), secret.to_owned());
    matches!(received, Received::Answered(answer) if answer.headers == [header])
}

#[tokio::test]
async fn a_secret_is_taken_from_the_handshake_and_never_replaced() {
    let bench = Bench::start().await;
    assert!(matches!(bench.sign().await, Received::Overloaded(_)), "there is none yet");

    assert!(is_echo(&bench.say(SAID).await, SAID));
    assert!(matches!(bench.sign().await, Received::Answered(_)));

    let other = bench.say(&"a".repeat(64)).await;
    assert!(matches!(other, Received::Refused(Reason::Unsigned, _)), "{other:?}");
    assert!(is_echo(&bench.say(SAID).await, SAID), "our answer may have been lost");
    assert!(matches!(bench.sign().await, Received::Answered(_)));
}

#[tokio::test]
async fn of_secrets_that_are_said_at_once_one_is_taken() {
    let bench = Bench::start().await;
    let secrets: Vec<_> = (0..8).map(|number| format!("{number}{SAID}")).collect();

    let answers = futures::future::join_all(secrets.iter().map(|secret| bench.say(secret))).await;

    let taken: Vec<_> = secrets.iter().zip(&answers).filter(|(it, got)| is_echo(got, it)).collect();
    assert_eq!(taken.len(), 1, "{answers:?}");
    for secret in &secrets {
        assert_eq!(is_echo(&bench.say(secret).await, secret), secret == taken[0].0);
    }
}
