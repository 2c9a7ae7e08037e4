//! The whole path with the real binary: the sandbox connects by HTTP alone, and commands beside the
//! running Patchbay see what it does.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod home;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use futures::StreamExt;
use rustix::process::Signal;
use serde_json::{Value, json};

use home::{Home, Serve, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// A program that knows `serve.json` and nothing else.
struct Program {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Program {
    fn of(home: &Home) -> Self {
        let serving = home.serving();
        let own = |name: &str| serving[name].as_str().unwrap().to_owned();
        Self {
            http: reqwest::Client::new(),
            url: own("api_url"),
            token: std::fs::read_to_string(own("token_file")).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        request.json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Asks again after each notice until the answer is as it should be.
    async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let request = self.http.get(format!("{}/api/changes", self.url)).bearer_auth(&self.token);
        let mut changes = request.send().await.unwrap().bytes_stream();
        let waiting = async {
            loop {
                let answer = self.get(path).await;
                if is_so(&answer) {
                    return answer;
                }
                changes.next().await.unwrap().unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{path}"))
    }
}

/// A connected sandbox shop.
async fn connected(home: &Home) -> (Serve, Program) {
    assert_eq!(home.patchbay(&["vault", "init"]).status.code(), Some(0));
    let serve = home.serve(&["--sandbox"]);
    assert!(serve.line.starts_with("Patchbay is at "), "{}", serve.line);
    let program = Program::of(home);
    let opened = program.post("/api/sandbox", json!({})).await;
    let authorize_url = opened["authorize_url"].as_str().unwrap();
    program.http.post(authorize_url).form(&[("decision", "allow")]).send().await.unwrap();
    let path = format!("/api/connections/{}", opened["connection"]["id"].as_str().unwrap());
    program.until(&path, |connection| connection["state"] == "ready").await;
    program
        .until("/api/inboxes", |it| it["inboxes"][0]["registration"]["state"] == "registered")
        .await;
    (serve, program)
}

/// `patchbay events tail`, from the beginning of the log.
struct Tail {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Tail {
    fn start(home: &Home) -> Self {
        let args = ["events", "tail", "--json", "--type", "order.created"];
        let mut child = home
            .command(&[&args[..], &["--after", "evt_0000000000000"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, seen: Vec::new() }
    }

    /// Reads until so many events have been printed since the start.
    fn read(&mut self, count: usize) {
        while self.seen.len() < count {
            let line = self.lines.next().unwrap().unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(event["id"].as_str().unwrap().to_owned());
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn created(list: &Value) -> Vec<String> {
    let events = list["events"].as_array().unwrap().iter().rev();
    events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_connects_by_http_alone() {
    let home = Home::new();
    let (_serve, program) = connected(&home).await;

    program.post("/api/sandbox/orders", json!({ "count": 5 })).await;
    let at_least_five = |count: &Value| count["count"].as_u64() >= Some(5);
    program.until("/api/events/count?type=order.created", at_least_five).await;
    let first = home.patchbay(&["syncs", "run", "orders", "--wait", "--json"]);
    let full = home.patchbay(&["syncs", "run", "orders", "--full", "--wait", "--json"]);
    let in_words = home.patchbay(&["syncs", "run", "products", "--wait"]);

    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(first["state"], "done");
    let full: Value = serde_json::from_slice(&full.stdout).unwrap();
    assert_eq!(full["state"], "done");
    assert_eq!(full["full"], true);
    let number = |name: &str| full[name].as_u64().unwrap();
    assert!(number("records") > 1_000, "{full}");
    assert_eq!(
        number("records"),
        number("inserted") + number("changed") + number("unchanged") + number("deleted")
    );
    assert!(text(&in_words.stdout).starts_with("Done. "), "{}", text(&in_words.stdout));
    for list in [&["connections"][..], &["inboxes"], &["syncs", "list"], &["events", "list"]] {
        let out = home.patchbay(list);
        assert_eq!(out.status.code(), Some(0));
        assert!(text(&out.stdout).lines().count() > 1, "{list:?}: {}", text(&out.stdout));
        assert!(!text(&out.stdout).chars().any(|it| it.is_control() && it != '\n'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_misses_nothing_and_doubles_nothing_when_patchbay_is_killed() {
    let home = Home::new();
    let (mut serve, program) = connected(&home).await;
    let mut tail = Tail::start(&home);

    program.post("/api/sandbox/orders", json!({ "count": 3 })).await;
    tail.read(3);
    serve.end(Signal::KILL);
    let _serve = home.serve(&["--sandbox"]);
    let program = Program::of(&home);
    program
        .until("/api/inboxes", |it| it["inboxes"][0]["registration"]["state"] == "registered")
        .await;
    program.post("/api/sandbox/orders", json!({ "count": 3 })).await;
    tail.read(6);

    let listed = created(&program.get("/api/events?type=order.created&limit=1000").await);
    assert_eq!(tail.seen, listed[..tail.seen.len()]);
    assert_eq!(tail.seen.iter().collect::<BTreeSet<_>>().len(), tail.seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_own_webhook_is_made_and_found_from_a_shell() {
    let home = Home::new();
    home.patchbay(&["vault", "init"]);
    let _serve = home.serve(&[]);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut create = home
        .command(&["inboxes", "create", "--name", "My first", "--connector", "standard-webhooks"])
        .args(["--secret", "signing_secret=-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut create.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    let inbox: Value = serde_json::from_slice(&create.wait_with_output().unwrap().stdout).unwrap();
    let body = r#"{"type":"hello.sent","data":{"name":"World"}}"#;
    let now = jiff::Timestamp::now().as_second();
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    let signature = webhook.sign("msg_1", now, body.as_bytes()).unwrap();

    let answer = reqwest::Client::new()
        .post(inbox["local_url"].as_str().unwrap())
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", now)
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await
        .unwrap();
    let list = home.patchbay(&["events", "list", "--inbox", "My first", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let id = list["events"][0]["id"].as_str().unwrap();
    let shown = home.patchbay(&["events", "show", id]);
    let bytes = home.patchbay(&["events", "show", id, "--body"]);
    let count = home.patchbay(&["events", "count"]);

    assert!(answer.status().is_success());
    assert_eq!(list["events"][0]["proof"], "verified");
    assert!(text(&shown.stdout).contains("Accepted: signed by My first"));
    assert_eq!(text(&bytes.stdout), body);
    assert_eq!(text(&count.stdout), "1\n");
}
