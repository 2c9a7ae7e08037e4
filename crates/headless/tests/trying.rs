//! `patchbay connectors try` as a process, against a small server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod home;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::Signal;
use serde_json::{Value, json};

use home::{Home, text};

const TOKEN: &str = "sk_canary_0123456789";

const ACME: &str = r#"
format: 1
id: acme
name: Acme
status: documented
settings: { url: { title: Address, pattern: 'http://127\.0\.0\.1:[0-9]+' } }
base_url: "{{ settings.url }}"
auth:
  - title: Key
    header_token: { prefix: "Bearer " }
  - title: Sign in
    oauth_code: { authorize_url: https://acme.example/a, token_url: https://acme.example/t }
errors: { message: .error }
streams:
  orders:
    get: /orders
    query: { limit: 2 }
    records: .orders
    key: .id
    version: .at
    total: .total
    page: { cursor: { param: after, at: .next } }
    since: { param: updated_after, field: .at }
  lines:
    parent: { stream: orders, when: .open }
    get: /orders/{{ parent.id }}/lines
    records: .
    key: .id
"#;

/// A server that answers each path with a status and a body, and says what it was asked.
struct Server {
    url: String,
    asked: Receiver<String>,
}

impl Server {
    fn start(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.by_ref().map_while(Result::ok).take_while(|it| !it.is_empty()).collect();
                let Some(path) = head.first().and_then(|it| it.split(' ').nth(1)) else { continue };
                let (status, body) = answer(path);
                let length = body.len();
                // Who is asked says so first: whoever has the answer may look.
                let _ = tell.send(head.join("\n"));
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Fine\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

fn shop(path: &str) -> (u16, String) {
    let body = match path {
        "/orders?limit=2" => json!({
            "orders": [
                { "id": 1, "at": "2026-11-24T10:00:00Z", "open": false, "note": TOKEN },
                { "id": 2, "at": "2026-11-24T11:00:00Z", "open": true },
            ],
            "next": "b", "total": 3,
        }),
        "/orders/2/lines" => json!([{ "id": "l1" }]),
        _ => return (404, json!({ "error": format!("no {path} for {TOKEN}") }).to_string()),
    };
    (200, body.to_string())
}

fn connector(home: &Home, yaml: &str) -> String {
    let folder = home.0.path().join("acme");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("connector.yaml"), yaml).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// Tries a stream with a key that comes in by standard input.
fn tried(home: &Home, folder: &str, url: &str, stream: &str, more: &[&str]) -> Output {
    let setting = format!("url={url}");
    let args = ["connectors", "try", folder, "--stream", stream, "--setting", &setting];
    let mut child = home
        .command(&[&args[..], &["--secret", "token=-"], more].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TOKEN.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn json_of(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out.stderr)))
}

fn holds(folder: &Path, canary: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return holds(&path, canary);
        }
        let mut bytes = Vec::new();
        let _ = std::fs::File::open(&path).map(|mut file| file.read_to_end(&mut bytes));
        bytes.windows(canary.len()).any(|it| it == canary.as_bytes())
    })
}

#[test]
fn a_first_page_is_shown_with_what_was_asked() {
    let home = Home::new();
    let folder = connector(&home, ACME);
    let server = Server::start(shop);

    let out = tried(&home, &folder, &server.url, "orders", &["--json"]);

    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let trial = json_of(&out);
    let keys: Vec<_> = trial["page"]["records"].as_array().unwrap().iter().collect();
    assert_eq!(keys[0]["key"], "1");
    assert_eq!(keys[1]["version"], "2026-11-24T11:00:00Z");
    assert_eq!((&trial["page"]["total"], &trial["page"]["done"]), (&json!(3), &json!(false)));
    assert_eq!(trial["page"]["cursor"]["position"], json!({ "cursor": "b" }));
    assert_eq!(trial["page"]["next"]["asks"], "/orders?limit=2&after=b");
    let requests = trial["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["url"], format!("{}/orders?limit=2", server.url));
    assert_eq!(requests[0]["answer"]["status"], 200);
    let asked = server.asked();
    assert!(asked[0].contains(&format!("Bearer {TOKEN}")), "{asked:?}");
    assert!(!text(&out.stdout).contains(TOKEN), "{}", text(&out.stdout));
}

#[test]
fn people_read_the_same_without_secrets() {
    let home = Home::new();
    let folder = connector(&home, ACME);
    let server = Server::start(shop);

    let out = tried(&home, &folder, &server.url, "orders", &[]);

    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{said}");
    for expected in
        ["/orders?limit=2\n", "< 200", "✓ orders: 2 records of 3, and more pages", "after=b"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains(TOKEN), "{said}");
}

#[test]
fn a_stream_of_a_parent_is_read_for_the_first_that_fits() {
    let home = Home::new();
    let folder = connector(&home, ACME);
    let server = Server::start(shop);

    let trial = json_of(&tried(&home, &folder, &server.url, "lines", &["--json"]));

    assert_eq!(trial["page"]["records"][0]["key"], "l1", "{trial}");
    assert_eq!(trial["requests"][1]["url"], format!("{}/orders/2/lines", server.url));
}

#[test]
fn what_went_wrong_is_shown_with_the_answer_and_exits_with_1() {
    let home = Home::new();
    let folder = connector(&home, &ACME.replace("get: /orders\n", "get: /nothing\n"));
    let server = Server::start(shop);

    let out = tried(&home, &folder, &server.url, "orders", &["--json"]);

    let trial = json_of(&out);
    assert_eq!(out.status.code(), Some(1));
    assert!(trial["error"]["message"].as_str().unwrap().contains("404"), "{trial}");
    assert!(trial["requests"][0]["answer"]["body"].as_str().unwrap().contains("no /nothing"));
    assert!(!text(&out.stdout).contains(TOKEN), "{trial}");

    let wrong_key =
        connector(&home, &ACME.replace("key: .id\n    version", "key: .nr\n    version"));
    let trial = json_of(&tried(&home, &wrong_key, &server.url, "orders", &["--json"]));
    assert_eq!(trial["error"]["message"], "record 1 of the page has no key at `.nr`");
    assert_eq!(trial["requests"][0]["answer"]["status"], 200);
}

#[test]
fn what_cannot_be_tried_is_said_before_anything_is_called() {
    let home = Home::new();
    let folder = connector(&home, ACME);
    let server = Server::start(shop);
    let check = |stream: &str, more: &[&str]| {
        let out = tried(&home, &folder, &server.url, stream, &[more, &["--json"]].concat());
        let error: Value = serde_json::from_slice(&out.stderr).unwrap();
        (out.status.code(), error["error"]["code"].as_str().unwrap().to_owned())
    };

    assert_eq!(check("nothing", &[]), (Some(1), "unknown_stream".into()));
    assert_eq!(check("orders", &["--way", "oauth_code"]), (Some(1), "no_sign_in".into()));
    assert_eq!(check("orders", &["--way", "nothing"]), (Some(1), "invalid_field".into()));
    assert_eq!(server.asked().len(), 0);

    let connection = home.patchbay(&[
        "connectors",
        "try",
        &folder,
        "--stream",
        "orders",
        "--connection",
        "con_0000000000000",
    ]);
    assert_eq!(connection.status.code(), Some(3), "{}", text(&connection.stderr));
    let usage = home.patchbay(&["connectors", "try", &folder]);
    assert_eq!(usage.status.code(), Some(2));
    let argv =
        home.patchbay(&["connectors", "try", &folder, "--stream", "a", "--secret", "token=x"]);
    assert_eq!(argv.status.code(), Some(2));
}

#[test]
fn whoever_gave_no_secret_is_told_how_it_is_given() {
    let home = Home::new();
    let folder = connector(&home, ACME);
    let server = Server::start(shop);
    let setting = format!("url={}", server.url);
    let args = ["connectors", "try", &folder, "--stream", "orders", "--setting", &setting];

    let out = home.patchbay(&[&args[..], &["--json"]].concat());

    let error: Value = serde_json::from_slice(&out.stderr).unwrap();
    assert_eq!(error["error"]["message"], "there is no `token` to call with");
    let hint = error["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("PATCHBAY_SECRET_TOKEN") && hint.contains("--secret token=-"), "{hint}");
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_secret_may_come_by_its_variable_and_is_left_nowhere() {
    let home = Home::new();
    let folder = connector(&home, ACME);
    let server = Server::start(shop);
    let setting = format!("url={}", server.url);
    let temporary = home.0.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();

    let out = home
        .command(&["connectors", "try", &folder, "--stream", "orders", "--setting", &setting])
        .env("PATCHBAY_SECRET_TOKEN", TOKEN)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();

    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(server.asked()[0].contains(TOKEN));
    assert!(!home.data().exists(), "the user's data is not touched");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!holds(home.0.path(), TOKEN));
}

#[test]
fn a_running_patchbay_lends_a_connection_but_only_to_its_own_hosts() {
    let home = Home::new();
    connector(&home, ACME);
    let server = Server::start(shop);
    let own = home.data().join("connectors/acme");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("connector.yaml"), ACME).unwrap();
    let key = home.0.path().join("vault.key");
    let key = key.to_str().unwrap();
    assert!(home.patchbay(&["vault", "init", "--vault-key-file", key]).status.success());
    let mut serve = home.serve(&["--vault", "file", "--vault-key-file", key]);
    assert!(serve.line.starts_with("Patchbay is at"), "{}", serve.line);
    let made = post(
        &home,
        "/api/connections",
        &json!({
            "connector": "acme", "name": "Acme", "settings": { "url": server.url },
            "secrets": { "token": TOKEN },
        }),
    );
    let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}"));
    let check = |yaml: &str| {
        let folder = connector(&home, yaml);
        let args = ["connectors", "try", &folder, "--stream", "orders", "--connection", id];
        home.patchbay(&[&args[..], &["--json"]].concat())
    };

    let changed = check(&ACME.replace("key: .id\n    version", "key: .at\n    version"));
    let trial = json_of(&changed);
    assert_eq!(trial["page"]["records"][0]["key"], "2026-11-24T10:00:00Z", "{trial}");
    assert!(!text(&changed.stdout).contains(TOKEN));
    assert_eq!(server.asked().len(), 1);

    let elsewhere = ACME.replace("auth:", "hosts: [other.example]\nauth:");
    let trial = json_of(&check(&elsewhere));
    assert_eq!(trial["error"]["code"], "forbidden_host", "{trial}");
    assert_eq!(server.asked().len(), 0);

    let dead = ACME
        .replace("errors: {", "errors: { dead: [{ status: 404 }],")
        .replace("get: /orders\n", "get: /nothing\n");
    let trial = json_of(&check(&dead));
    assert_eq!(trial["error"]["code"], "credentials", "{trial}");
    let listed = home.patchbay(&["connections", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["connections"][0]["state"], "ready");
    assert_eq!(serve.end(Signal::TERM), Some(0));
}

fn post(home: &Home, path: &str, body: &Value) -> Value {
    let serving = home.serving();
    let token = std::fs::read_to_string(serving["token_file"].as_str().unwrap()).unwrap();
    let host = serving["api_url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        token.trim(),
        body.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}
