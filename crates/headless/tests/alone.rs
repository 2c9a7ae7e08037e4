//! Commands that need no running Patchbay: the real binary, in an empty home.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNED_AT: i64 = 1_700_000_000;

/// A user who has nothing yet, not even a keychain.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn patchbay(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_patchbay"))
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
            .output()
            .unwrap()
    }

    fn file(&self, name: &str, content: &Value) -> String {
        let path = self.path(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn verify(&self, secret: &Value, at: i64, change: impl FnOnce(&mut Value)) -> (i32, Value) {
        let with = self.file("with.json", &json!({ "secrets": { "signing_secret": secret } }));
        let mut request = signed_request();
        change(&mut request);
        let request = self.file("request.json", &request);
        let at = at.to_string();
        let args = ["verify", "--connector", "standard-webhooks", "--with", &with, "--request"];
        let out = self.patchbay(&[&args[..], &[request.as_str(), "--at", &at, "--json"]].concat());
        (out.status.code().unwrap(), serde_json::from_slice(&out.stdout).unwrap())
    }
}

fn signed_request() -> Value {
    let body = r#"{"type": "order.created", "data": {"id": 1001}}"#;
    let signature = standardwebhooks::Webhook::new(SECRET)
        .unwrap()
        .sign("msg_1", SIGNED_AT, body.as_bytes())
        .unwrap();
    json!({
        "method": "POST",
        "url": "https://hooks.example/in/key",
        "headers": [
            ["Webhook-Id", "msg_1"],
            ["Webhook-Timestamp", SIGNED_AT.to_string()],
            ["Webhook-Signature", signature],
        ],
        "body": body,
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_right_signature_is_valid() {
    let home = Home::new();

    let right = home.verify(&json!(SECRET), SIGNED_AT + 300, |_| {});
    let one_of_two =
        home.verify(&json!(["whsec_AAAAAAAAAAAAAAAAAAAAAAAA", SECRET]), SIGNED_AT, |_| {});

    assert_eq!(right, (0, json!({ "verdict": "valid", "proof": "verified" })));
    assert_eq!(one_of_two.0, 0);
}

#[test]
fn a_body_in_base64_is_the_same_body() {
    use base64::Engine as _;

    let (code, _) = Home::new().verify(&json!(SECRET), SIGNED_AT, |request| {
        let body = request["body"].take();
        let body = base64::engine::general_purpose::STANDARD.encode(body.as_str().unwrap());
        request.as_object_mut().unwrap().remove("body");
        request["body_base64"] = json!(body);
    });

    assert_eq!(code, 0);
}

#[test]
fn a_refusal_names_its_reason_and_what_to_do() {
    let home = Home::new();
    let check = |secret: &str, at, change: fn(&mut Value)| {
        let (exit, verdict) = home.verify(&json!(secret), at, change);
        assert_eq!(exit, 1, "{verdict}");
        assert_eq!(verdict["verdict"], "refused");
        assert!(verdict["message"].as_str().is_some_and(|it| !it.is_empty()));
        assert!(verdict["hint"].as_str().is_some_and(|it| it.ends_with('.')));
        verdict["code"].as_str().unwrap().to_owned()
    };

    assert_eq!(check(SECRET, SIGNED_AT + 301, |_| {}), "stale");
    assert_eq!(check("whsec_AAAAAAAAAAAAAAAAAAAAAAAA", SIGNED_AT, |_| {}), "wrong_signature");
    assert_eq!(check(SECRET, SIGNED_AT, |it| it["body"] = json!("{}")), "wrong_signature");
    assert_eq!(check(SECRET, SIGNED_AT, |it| it["headers"] = json!([])), "unsigned");
    assert_eq!(check("", SIGNED_AT, |_| {}), "no_secret");
}

/// A connector whose inboxes may be without the secret by which it signs.
const MAYBE: &str = "format: 1\nid: maybe\nname: Maybe\nstatus: documented\nwebhooks:\n  \
    secrets: { signing_secret: { title: Secret, optional: true } }\n  \
    settings: { public_url: { title: Address, optional: true } }\n  \
    verify: [{ token_equal: { at: { header: x-token } } }, none]\n";

impl Home {
    /// Judges a request without a signature by `connector`, with what `with` holds.
    fn judge(&self, connector: &str, with: &Value, request: &Value) -> Output {
        let folder = self.path("maybe");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), connector).unwrap();
        let (with, request) = (self.file("w.json", with), self.file("r.json", request));
        let folder = folder.to_str().unwrap();
        let args = ["verify", "--connector", folder, "--with", &with, "--request", &request];
        self.patchbay(&[&args[..], &["--json"]].concat())
    }
}

fn unsigned_request() -> Value {
    json!({ "method": "POST", "url": "https://hooks.example/in/k", "headers": [], "body": "{}" })
}

#[test]
fn what_nobody_proved_is_told_apart_from_what_was() {
    let home = Home::new();
    let judge = |connector: &str, secret: Option<&str>, token: &str| {
        let with = match secret {
            Some(secret) => json!({ "secrets": { "signing_secret": secret } }),
            None => json!({}),
        };
        let mut request = unsigned_request();
        request["headers"] = json!([["x-token", token]]);
        let out = home.judge(connector, &with, &request);
        (out.status.code().unwrap(), serde_json::from_slice::<Value>(&out.stdout).unwrap())
    };

    assert_eq!(judge(MAYBE, Some("s"), "s").1, json!({ "verdict": "valid", "proof": "verified" }));
    assert_eq!(judge(MAYBE, Some("s"), "t").0, 1);
    for secret in [None, Some(""), Some("  ")] {
        let (exit, verdict) = judge(MAYBE, secret, "t");
        assert_eq!((exit, &verdict["proof"]), (0, &json!("unsigned")), "{secret:?}");
        assert_eq!(verdict["message"], "not proved: no `signing_secret` was given");
        assert!(verdict["hint"].as_str().unwrap().contains("--with"), "{verdict}");
    }
    // Without `optional` no inbox can be made that would take it.
    let (exit, verdict) =
        judge(&MAYBE.replace(", optional: true } }\n  settings", " } }\n  settings"), None, "t");
    assert_eq!((exit, &verdict["code"]), (1, &json!("no_secret")), "{verdict}");
    let none = MAYBE.replace("[{ token_equal: { at: { header: x-token } } }, none]", "none");
    let (exit, verdict) = judge(&none, None, "t");
    assert_eq!((exit, &verdict["proof"]), (0, &json!("unsigned")));
    assert_eq!(verdict["message"], "not proved: this rule asks for no signature");
}

#[test]
fn a_name_that_nothing_reads_is_a_mistake() {
    let home = Home::new();
    let mut extra = unsigned_request();
    extra["bodyy"] = json!("{}");
    let mut object = unsigned_request();
    object["headers"] = json!({ "a": "b" });
    for (with, request, expected) in [
        (json!({ "secret": "s" }), unsigned_request(), "holds `secret`, expected one of `secrets`"),
        (
            json!({ "secrets": { "signing_secrets": "s" } }),
            unsigned_request(),
            "no secret `signing_secrets`: expected one of `public_key`, `signing_secret`",
        ),
        (
            json!({ "settings": { "url": "s" } }),
            unsigned_request(),
            "no setting `url`: expected one of `public_key`, `public_url`, `signing_secret`",
        ),
        (json!([]), unsigned_request(), "w.json is no object"),
        (json!({ "secrets": "s" }), unsigned_request(), "does not hold what it should: line 1"),
        (json!({}), extra, "holds `bodyy`, expected one of `method`, `url`"),
        (json!({}), object, "r.json does not hold what it should: line 1"),
        (json!({}), json!({ "method": "POST" }), "r.json does not hold what it should"),
    ] {
        let out = home.judge(MAYBE, &with, &request);
        let error: Value = serde_json::from_slice(&out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{error}");
        let error = &error["error"];
        assert!(error["message"].as_str().unwrap().contains(expected), "{error}");
        // And what it should be.
        let shape = if error["code"] == "with_file" { "\"secrets\": {" } else { "\"headers\": [[" };
        assert!(error["hint"].as_str().unwrap().contains(shape), "{error}");
    }
}

#[test]
fn a_secret_in_a_broken_file_is_not_repeated() {
    let home = Home::new();
    let with = home.path("with.json");
    std::fs::write(&with, r#"{"secrets": {"signing_secret": ["whsec_do_not_tell", 7]}}"#).unwrap();
    let request = home.file("request.json", &signed_request());
    let with = with.to_str().unwrap();
    let args = ["verify", "--connector", "standard-webhooks", "--with", with, "--request"];

    let out = home.patchbay(&[&args[..], &[request.as_str()]].concat());

    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("line 1"), "{}", text(&out.stderr));
    assert!(!text(&out.stderr).contains("do_not_tell"));
}

#[test]
fn the_connectors_that_ship_are_listed_without_an_owner() {
    let home = Home::new();

    let out = home.patchbay(&["connectors", "list", "--json"]);

    assert_eq!(out.status.code(), Some(0));
    let list: Value = serde_json::from_slice(&out.stdout).unwrap();
    let ids: Vec<_> =
        list["connectors"].as_array().unwrap().iter().filter_map(|it| it["id"].as_str()).collect();
    for id in ["any", "sandbox", "standard-webhooks"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
}

#[test]
fn a_key_file_is_made_once_for_its_owner_alone() {
    let home = Home::new();

    let first = home.patchbay(&["vault", "init", "--json"]);
    let path: Value = serde_json::from_slice(&first.stdout).unwrap();
    let path = PathBuf::from(path["key_file"].as_str().unwrap());
    let key = std::fs::read(&path).unwrap();
    let second = home.patchbay(&["vault", "init"]);
    let needed = home.patchbay(&["vault", "init", "--if-needed"]);

    assert!(path.starts_with(home.0.path()), "{}", path.display());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(second.status.code(), Some(1));
    assert_eq!((needed.status.code(), needed.stdout.as_slice()), (Some(0), &b""[..]));
    assert_eq!(std::fs::read(&path).unwrap(), key);
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let home = Home::new();
    for args in [
        &["serve", "--api", "0.0.0.0:4700"][..],
        &["serve", "--api", "4700"],
        &["serve", "--vault", "paper"],
        &["serve", "--log", "engine=loudly"],
        &["events", "list", "--limit", "1001"],
        &["nonsense"],
        &[],
    ] {
        let out = home.patchbay(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stderr));
    }
}

#[test]
fn a_command_that_needs_an_owner_and_finds_none_exits_with_3() {
    let home = Home::new();
    for args in [&["events", "list"][..], &["login"], &["syncs", "run", "orders"], &["inboxes"]] {
        let out = home.patchbay(args);
        assert_eq!(out.status.code(), Some(3), "{args:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains("patchbay serve"), "{}", text(&out.stderr));
        assert_eq!(text(&out.stdout), "");
    }
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let out = Home::new().patchbay(&["events", "list", "--json"]);

    let error: Value = serde_json::from_slice(&out.stderr).unwrap();
    assert_eq!(error["error"]["code"], "no_owner");
}

#[test]
fn the_doctor_names_a_missing_keychain_and_open_files() {
    let home = Home::new();
    let data = home.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let data = data.to_str().unwrap();

    let out = home.patchbay(&["doctor", "--json", "--data-dir", data]);

    assert_eq!(out.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let state = |name: &str| &findings.iter().find(|it| it["name"] == name).unwrap()["state"];
    assert_eq!(state("vault"), "bad");
    assert_eq!(state("permissions"), "bad");
    assert_eq!(state("clock"), "good");
    assert_eq!(state("patchbay"), "good");
}
