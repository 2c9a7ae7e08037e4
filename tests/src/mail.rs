//! Mailboxes at a mail server that nobody here wrote: `smtp-server`, beside `oidc-provider`, whose
//! tokens it takes. It runs as the test of sign-ins says.

use std::str::FromStr as _;

use domain::id::ConnectionId;
use engine::outgoing::Mail;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::TestApp;
use crate::oauth::{Browser, Foreign};

const PASSWORD: &str = "canary-password-of-ada";

/// A mailbox that is signed in to.
const CONNECTOR: &str = r#"
format: 1
id: mailbox
name: Mailbox
status: documented
settings:
  url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' }
  host: { title: Server, pattern: '[a-z0-9.]+' }
  port: { title: Port, pattern: '[0-9]+' }
  user: { title: User, default: acme }
auth:
  - oauth_code:
      authorize_url: '{{ settings.url }}/auth'
      token_url: '{{ settings.url }}/token'
      secret: required
      client: basic
      pkce: beside_secret
      scopes: [read]
      refresh: rotating
      send: { xoauth2: '{{ settings.user }}' }
base_url: '{{ settings.url }}'
smtp: { host: '{{ settings.host }}', port: '{{ settings.port }}', tls: none }
"#;

struct Bench {
    app: TestApp,
    foreign: Foreign,
}

impl Bench {
    async fn start() -> Self {
        let connectors = vec![("mailbox", CONNECTOR.to_owned())];
        let options = crate::app::Options { connectors, ..crate::app::Options::default() };
        let (app, foreign) = tokio::join!(TestApp::with(options), Foreign::start());
        Self { app, foreign }
    }

    fn port(&self, encryption: &str) -> String {
        self.foreign.keys["mail"][encryption].to_string()
    }

    /// A mailbox by its password.
    async fn by_password(&self, encryption: &str, password: &str, more: Value) -> String {
        let mut settings = json!({
            "from": "Acme <ada@acme.example>", "host": "127.0.0.1", "user": "ada@acme.example",
            "port": self.port(encryption), "tls": encryption,
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.made(json!({
            "connector": "smtp", "name": "Mail", "settings": settings,
            "secrets": { "password": password },
        }))
        .await
    }

    /// A mailbox by a sign-in.
    async fn signed_in(&self) -> String {
        let settings = json!({
            "url": self.foreign.url, "client_id": "confidential", "host": "127.0.0.1",
            "port": self.port("none"),
        });
        let id = self
            .made(json!({
                "connector": "mailbox", "name": "Mailbox", "settings": settings,
                "secrets": { "client_secret": "canary-secret-of-confidential" },
            }))
            .await;
        self.sign_in(&id).await;
        id
    }

    async fn sign_in(&self, id: &str) {
        let begun = self.app.post(&format!("/api/connections/{id}/authorize"), json!({})).await;
        let url = begun.json()["authorize_url"].as_str().unwrap().to_owned();
        let page = Browser::new().open(&url).await;
        assert!(page.text.contains("Signed in"), "{}", page.text);
    }

    async fn made(&self, request: Value) -> String {
        let made = self.app.post("/api/connections", request).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    async fn connection(&self, id: &str) -> Value {
        self.app.read(&format!("/api/connections/{id}")).await
    }

    async fn is_ready(&self, id: &str, account: &str) {
        let connection = self.connection(id).await;
        assert_eq!(connection["state"], "ready", "{connection}");
        assert_eq!(connection["account"], account, "{connection}");
        assert_eq!(connection["fault"], Value::Null, "{connection}");
    }

    async fn why(&self, id: &str) -> String {
        let connection = self.connection(id).await;
        assert_eq!(connection["state"], "needs_sign_in", "{connection}");
        connection["why"].as_str().unwrap().to_owned()
    }

    async fn check(&self, id: &str) -> crate::Answer {
        self.app.post(&format!("/api/connections/{id}/check"), json!({})).await
    }

    async fn stats(&self) -> Value {
        self.foreign.ask("stats").await["mail"].clone()
    }

    async fn ledger(&self, id: &str) -> Vec<Value> {
        let ledger = self.app.read(&format!("/api/connections/{id}/ledger")).await;
        ledger["ledger"].as_array().unwrap().clone()
    }

    /// All that is answered of a connection holds none of what was planted.
    async fn shows_no_secret(&self, id: &str) {
        for path in ["", "/ledger", "/exchanges"] {
            let shown = self.app.get(&format!("/api/connections/{id}{path}")).await;
            let text = String::from_utf8_lossy(&shown.body).into_owned();
            assert_eq!(shown.status, StatusCode::OK, "{path}: {text}");
            assert!(!text.contains("canary"), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn the_right_password_lets_in_and_is_in_the_ledger() {
    let bench = Bench::start().await;

    let id = bench.by_password("none", PASSWORD, json!({})).await;

    bench.is_ready(&id, "ada@acme.example").await;
    assert_eq!(bench.check(&id).await.status, StatusCode::OK);
    assert_eq!(bench.stats().await["in"], json!({ "PLAIN": 2 }));
    let ledger = bench.ledger(&id).await;
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    assert_eq!(ledger[0]["host"], format!("127.0.0.1:{}", bench.port("none")));
    assert_eq!(ledger[0]["secrets"], json!(["password"]));
    assert_eq!((&ledger[0]["purpose"], &ledger[0]["times"]), (&json!("check"), &json!(2)));
    bench.shows_no_secret(&id).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_entered_again() {
    let bench = Bench::start().await;
    let id = bench.by_password("none", "canary-wrong", json!({})).await;

    let why = bench.why(&id).await;
    assert_eq!(
        why,
        "127.0.0.1 refuses user and password: 5.7.8 nobody is ada@acme.example by \
         [secret:password]."
    );
    // Nobody is shown it again by itself.
    assert_eq!(bench.stats().await["shown"], 1);
    let checked = bench.check(&id).await;
    assert_eq!(checked.json()["error"]["code"], "credentials", "{}", checked.json());
    bench.shows_no_secret(&id).await;

    let right = json!({ "secrets": { "password": PASSWORD } });
    let patched = bench.app.patch(&format!("/api/connections/{id}"), right).await;

    assert_eq!(patched.status, StatusCode::OK, "{}", patched.json());
    bench.is_ready(&id, "ada@acme.example").await;
}

#[tokio::test]
async fn a_token_lets_in_and_is_renewed_ahead_of_its_end_and_when_it_is_refused() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.is_ready(&id, "acme").await;
    let before = bench.stats().await["in"]["XOAUTH2"].as_u64().unwrap();

    bench.app.clock.advance(SignedDuration::from_secs(3_700));
    let ahead = bench.check(&id).await;
    assert_eq!(ahead.status, StatusCode::OK, "{}", ahead.json());
    assert_eq!(bench.foreign.given("refresh_token").await, 1);
    let shown = bench.stats().await["shown"].as_u64().unwrap();

    bench.foreign.tell("end-access").await;
    let refused = bench.check(&id).await;

    assert_eq!(refused.status, StatusCode::OK, "{}", refused.json());
    assert_eq!(bench.foreign.given("refresh_token").await, 2);
    let stats = bench.stats().await;
    assert_eq!(stats["shown"], shown + 2, "the old one and the new one");
    assert_eq!(stats["in"]["XOAUTH2"], before + 2);
    let ledger = bench.ledger(&id).await;
    let checks = ledger.iter().filter(|it| it["purpose"] == "check");
    assert!(checks.clone().all(|it| it["secrets"] == json!(["access_token"])), "{ledger:?}");
    let times: u64 = checks.map(|it| it["times"].as_u64().unwrap()).sum();
    assert_eq!(json!(times), stats["shown"], "as many as the server was shown");
    bench.shows_no_secret(&id).await;
}

#[tokio::test]
async fn a_dead_grant_needs_a_sign_in() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    bench.foreign.tell("end-access").await;
    bench.foreign.tell("end-refresh").await;

    let checked = bench.check(&id).await;

    assert_eq!(checked.json()["error"]["code"], "credentials", "{}", checked.json());
    let why = bench.why(&id).await;
    assert!(why.starts_with("The sign-in could not be renewed"), "{why}");
    let shown = bench.stats().await["shown"].clone();
    assert_ne!(bench.check(&id).await.status, StatusCode::OK);
    assert_eq!(bench.stats().await["shown"], shown, "nobody is asked again");

    bench.sign_in(&id).await;
    bench.is_ready(&id, "acme").await;
}

#[tokio::test]
async fn a_token_of_another_mailbox_is_told_after_one_renewal() {
    let bench = Bench::start().await;
    let id = bench.signed_in().await;
    let other = json!({ "settings": { "user": "bob" } });
    bench.app.patch(&format!("/api/connections/{id}"), other).await;

    let checked = bench.check(&id).await;

    assert_eq!(checked.json()["error"]["code"], "credentials", "{}", checked.json());
    let why = bench.why(&id).await;
    assert!(why.starts_with("127.0.0.1 refuses a new token, too: no token: "), "{why}");
    // What it says again is not shown.
    assert!(why.contains("[secret:"), "{why}");
    assert_eq!(bench.foreign.given("refresh_token").await, 1);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_does_not_encrypt_is_shown_nothing() {
    let bench = Bench::start().await;
    for (encryption, server, sentence) in [
        ("implicit", "implicit", "its certificate is not trusted: nobody vouches for it"),
        ("starttls", "starttls", "its certificate is not trusted: nobody vouches for it"),
        ("starttls", "none", "it does not offer STARTTLS, and nothing is sent to it unencrypted"),
        ("implicit", "starttls", "it does not answer as one that is encrypted from the beginning"),
    ] {
        let more = json!({ "port": bench.port(server) });
        let id = bench.by_password(encryption, PASSWORD, more).await;

        let connection = bench.connection(&id).await;

        assert_eq!(connection["state"], "ready", "{connection}");
        let checked = bench.check(&id).await;
        assert_eq!(checked.status, StatusCode::BAD_GATEWAY);
        let message = checked.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(sentence), "{message}");
        assert!(bench.ledger(&id).await.is_empty());
        bench.shows_no_secret(&id).await;
    }
    let stats = bench.stats().await;
    assert_eq!(stats["shown"], 0);
    assert!(stats["calls"].as_u64().unwrap() > 0);
}

/// Whom to trust is read from the environment, which a test cannot change for itself.
#[test]
#[cfg(target_os = "linux")]
fn one_that_is_trusted_lets_in_with_either_kind_of_encryption() {
    let shown = crate::oauth::certificate();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, &shown[1].1).unwrap();

    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mail::encrypted_where_it_is_trusted", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", trusted)
        .envs(shown)
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by another test, which says whom to trust"]
async fn encrypted_where_it_is_trusted() {
    let bench = Bench::start().await;
    for encryption in ["implicit", "starttls"] {
        for host in ["127.0.0.1", "localhost"] {
            let id = bench.by_password(encryption, PASSWORD, json!({ "host": host })).await;
            bench.is_ready(&id, "ada@acme.example").await;
            let path = format!("/api/connections/{id}/test-mail");
            let sent = bench.app.post(&path, json!({ "to": "bob@shop.example" })).await;
            assert_eq!(sent.status, StatusCode::OK, "{}", sent.json());
        }
    }
    assert_eq!(bench.stats().await["in"], json!({ "PLAIN encrypted": 8 }));
}

#[tokio::test]
async fn a_password_goes_to_the_server_that_it_was_given_for() {
    let bench = Bench::start().await;
    let id = bench.by_password("none", PASSWORD, json!({})).await;
    let shown = bench.stats().await["shown"].clone();

    let moved = json!({ "settings": { "host": "localhost" } });
    bench.app.patch(&format!("/api/connections/{id}"), moved).await;

    let why = bench.why(&id).await;
    assert!(why.starts_with("Its settings lead to another host."), "{why}");
    assert_ne!(bench.check(&id).await.status, StatusCode::OK);
    assert_eq!(bench.stats().await["shown"], shown);
}

#[tokio::test]
async fn mail_is_sent_as_it_is_written_or_not_at_all() {
    let bench = Bench::start().await;
    let id = bench.by_password("none", PASSWORD, json!({})).await;
    let path = format!("/api/connections/{id}/test-mail");

    let sent = bench.app.post(&path, json!({ "to": "Bob <bob@shop.example>" })).await;

    assert_eq!(sent.status, StatusCode::OK, "{}", sent.json());
    assert_eq!(sent.json()["answer"], "2.0.0 queued as 7");
    let full = Mail {
        to: vec!["bob@shop.example".into()],
        cc: vec!["cy@shop.example".into()],
        bcc: vec!["dan@shop.example".into()],
        subject: "Grüße".into(),
        text: ".\n.hidden\nGrüße\n".into(),
        html: Some("<p>Grüße</p>".into()),
        ..Mail::default()
    };
    let number = ConnectionId::from_str(&id).unwrap();
    bench.app.engine.send_mail(number, &full).await.unwrap();
    let mails = bench.foreign.ask("mails").await;
    assert_eq!(mails.as_array().unwrap().len(), 2, "{mails}");
    let (first, second) = (&mails[0], &mails[1]);
    assert_eq!(first["from"], "ada@acme.example");
    assert_eq!(first["to"], json!(["bob@shop.example"]));
    let text = first["text"].as_str().unwrap();
    assert!(text.contains(&format!("Message-ID: {}", sent.json()["message_id"].as_str().unwrap())));
    assert!(text.contains("From: Acme <ada@acme.example>"), "{text}");
    let to = json!(["bob@shop.example", "cy@shop.example", "dan@shop.example"]);
    assert_eq!(second["to"], to);
    assert!(!second["text"].as_str().unwrap().contains("dan@"), "{second}");
    let ledger = bench.ledger(&id).await;
    let mail = ledger.iter().find(|it| it["purpose"] == "mail").unwrap();
    assert_eq!((&mail["secrets"], &mail["times"]), (&json!(["password"]), &json!(2)));

    // One of those it goes to is refused: nobody gets it.
    let half = Mail { cc: vec!["nobody@shop.example".into()], ..full.clone() };
    let refused = bench.app.engine.send_mail(number, &half).await.unwrap_err().to_string();
    assert!(refused.contains("answered 550: 5.1.1 no such mailbox"), "{refused}");
    let evil = json!({ "to": "bob@shop.example\r\nBcc: eve@evil.example" });
    let evil = bench.app.post(&path, evil).await;
    assert_eq!(evil.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", evil.json());
    assert_eq!(bench.foreign.ask("mails").await.as_array().unwrap().len(), 2);
    bench.shows_no_secret(&id).await;
}

#[tokio::test]
async fn conversations_count_and_addresses_that_are_never_called_are_not() {
    let bench = Bench::start().await;
    let id = bench.by_password("none", PASSWORD, json!({ "mails_per_minute": "1" })).await;
    let checked = bench.check(&id).await;
    assert_eq!(checked.status, StatusCode::TOO_MANY_REQUESTS, "{}", checked.json());

    for host in ["169.254.169.254", "0.0.0.0"] {
        let id = bench.by_password("implicit", PASSWORD, json!({ "host": host })).await;
        let checked = bench.check(&id).await;
        assert_eq!(checked.json()["error"]["code"], "forbidden_host", "{}", checked.json());
    }
    assert_eq!(bench.stats().await["calls"], 1);
}
