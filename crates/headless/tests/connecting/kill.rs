//! kill -9 in a rotation: the refresh token is good once, and the process ends at any point of
//! spending it.
//!
//! Before the provider has done anything, and once the new tokens are in the vault, nothing is
//! lost. Between, the token is spent and its answer gone: a provider that takes a spent token once
//! more gives another, and with any other the user has to sign in, which is found out by one try.
//! Meanwhile a sync is held and goes on afterwards.
//!
//! Each way is gone ten times; `PATCHBAY_KILLS=100` says how often.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::api::Api;
use crate::home::{Home, Serve};
use crate::stand_in::{Answer, Asked, Point, StandIn};

const CONNECTOR: &str = "
format: 1
id: rotating
name: Rotating
status: documented
settings:
  url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' }
  tokens: { title: Address of tokens, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' }
base_url: '{{ settings.url }}'
auth:
  - oauth_code:
      authorize_url: '{{ settings.tokens }}/authorize'
      token_url: '{{ settings.tokens }}/token'
      secret: required
      pkce: beside_secret
      refresh: rotating
check: { get: /me, account: .name }
streams:
  orders: { get: /orders, records: .orders, key: .id }
";
const ORDERS: u64 = 5;

/// Where it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// At a point of the request for tokens.
    At(Point),
    /// When the vault has changed: the new tokens are in it.
    Kept,
    /// When what needed the tokens is done.
    Finished,
}

/// What the provider knows.
#[derive(Default)]
struct Books {
    /// The access token that is good.
    access: Option<String>,
    /// The refresh token that is good.
    refresh: Option<String>,
    /// The one before it, which is taken once more where the provider grants grace.
    spent: Option<String>,
    grants_grace: bool,
    issued: u32,
    /// How often the provider was asked to renew.
    asked: u32,
    /// What to kill, and where.
    doomed: Option<(Kill, Pid)>,
    vault: PathBuf,
}

type Shared = Arc<Mutex<Books>>;

impl Books {
    fn token(&mut self, asked: &Asked) -> Answer {
        let form = asked.form();
        if form["grant_type"] == "refresh_token" {
            self.asked += 1;
            let given = form.get("refresh_token");
            let again = self.grants_grace && self.spent.as_ref() == given;
            if again {
                self.spent = None;
            } else if self.refresh.as_ref() == given {
                self.spent = self.refresh.take();
            } else {
                return Answer::json(400, &json!({ "error": "invalid_grant" }));
            }
        }
        self.issued += 1;
        let (access, refresh) =
            (format!("access-{}", self.issued), format!("refresh-{}", self.issued));
        let answer = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "bearer",
            "expires_in": 3600,
        });
        (self.access, self.refresh) = (Some(access), Some(refresh));
        Answer::json(200, &answer)
    }

    fn api(&self, asked: &Asked) -> Answer {
        let bearer = asked.header("authorization").strip_prefix("Bearer ");
        if bearer.is_none() || bearer != self.access.as_deref() {
            return Answer::json(401, &json!({}));
        }
        let orders: Vec<_> = (0..ORDERS).map(|id| json!({ "id": id })).collect();
        Answer::json(200, &json!({ "name": "Acme", "orders": orders }))
    }

    /// Whether the provider goes on after this point: what is killed gets no answer.
    fn passes(&mut self, point: Point) -> bool {
        match self.doomed {
            Some((Kill::At(end), pid)) if end == point => {
                kill_process(pid, Signal::KILL).unwrap();
                self.doomed = None;
                false
            }
            Some((Kill::Kept, pid)) if point == Point::Done => {
                kill_when_changed(self.vault.clone(), pid);
                self.doomed = None;
                true
            }
            _ => true,
        }
    }
}

/// Kills as soon as the file is another one.
fn kill_when_changed(file: PathBuf, pid: Pid) {
    // A file that takes another's place may be given the number of the one before that.
    let version = move || {
        let found = std::fs::metadata(&file).unwrap();
        (found.ino(), found.ctime(), found.ctime_nsec())
    };
    let before = version();
    std::thread::spawn(move || {
        while version() == before {
            std::thread::yield_now();
        }
        kill_process(pid, Signal::KILL).unwrap();
    });
}

/// A connection that is signed in, with a sync, in a Patchbay that is killed again and again.
struct Bench {
    home: Home,
    serve: Serve,
    api: Api,
    books: Shared,
    tokens: StandIn,
    _provider: StandIn,
    connection: String,
    sync: String,
    inbox: String,
    sent: u64,
}

impl Bench {
    async fn start() -> Self {
        let home = Home::new();
        assert_eq!(home.patchbay(&["vault", "init"]).status.code(), Some(0));
        let folder = home.data().join("connectors/rotating");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), CONNECTOR).unwrap();
        let books: Shared = Arc::default();
        books.lock().unwrap().vault = home.data().join("vault.sealed");
        let (answers, points, calls) = (books.clone(), books.clone(), books.clone());
        let tokens = StandIn::watched(
            move |asked| answers.lock().unwrap().token(asked),
            move |point| points.lock().unwrap().passes(point),
        )
        .await;
        let provider = StandIn::start(move |asked| calls.lock().unwrap().api(asked)).await;

        let serve = home.serve(&[]);
        let api = Api::of(&home);
        let connection = json!({
            "connector": "rotating", "name": "Acme",
            "settings": { "url": provider.url, "tokens": tokens.url, "client_id": "mine" },
            "secrets": { "client_secret": "s3cret-of-mine" },
        });
        let connection = api.make("/api/connections", connection).await;
        let inbox = api.make("/api/inboxes", json!({ "name": "All", "connector": "any" })).await;
        let mut bench = Self {
            home,
            serve,
            api,
            books,
            tokens,
            _provider: provider,
            connection,
            sync: String::new(),
            inbox,
            sent: 0,
        };
        bench.sign_in().await;
        let sync = json!({ "connection": bench.connection, "stream": "orders", "schedule": null });
        bench.sync = bench.api.make("/api/syncs", sync).await;
        // It runs at once.
        let runs = bench
            .api
            .until("/api/sync-runs?limit=1", |runs| runs["sync_runs"][0]["state"] == "done");
        runs.await;
        bench
    }

    async fn sign_in(&self) {
        let page = self.api.authorize(&self.connection).await;
        assert!(page.as_str().starts_with(&self.tokens.url));
        let shown = self.api.come_back(&page, &[("code", "c0de")]).await;
        assert!(shown.contains("Signed in"), "{shown}");
    }

    /// Runs the sync with a token that the provider does not take any more, and is killed on the
    /// way.
    async fn is_killed(&mut self, kill: Kill) {
        let pid = Pid::from_child(&self.serve.child);
        {
            let mut books = self.books.lock().unwrap();
            books.access = None;
            books.doomed = Some((kill, pid));
        }
        let run = format!("/api/syncs/{}/run", self.sync);
        // It may be killed before it has answered.
        let _ = self.api.try_to_call(Method::POST, &run, Some(&json!({ "full": true }))).await;
        if kill == Kill::Finished {
            let run = self.newest_run().await;
            self.ended(&run).await;
            kill_process(pid, Signal::KILL).unwrap();
        }
        let code = tokio::task::block_in_place(|| self.serve.child.wait()).unwrap().code();
        assert_eq!(code, None, "it was killed");
    }

    async fn newest_run(&self) -> String {
        let runs = self.api.get("/api/sync-runs?limit=1").await;
        runs["sync_runs"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Answers with the run that was killed.
    async fn starts_again(&mut self) -> String {
        self.serve = self.home.serve(&[]);
        assert!(self.serve.line.starts_with("Patchbay is at "), "{}", self.serve.line);
        self.api = Api::of(&self.home);
        self.newest_run().await
    }

    /// A run, when it has ended.
    async fn ended(&self, run: &str) -> Value {
        let path = format!("/api/sync-runs/{run}");
        self.api.until(&path, |run| run["state"] != "running").await
    }

    fn asked(&self) -> u32 {
        self.books.lock().unwrap().asked
    }

    /// A webhook comes, whatever became of the sign-in.
    async fn receives(&mut self) {
        let inbox = self.api.get(&format!("/api/inboxes/{}", self.inbox)).await;
        let url = inbox["local_url"].as_str().unwrap();
        let answer = reqwest::Client::new().post(url).body("{}").send().await.unwrap();
        assert!(answer.status().is_success());
        self.sent += 1;
        let count = self.api.get("/api/events/count").await;
        assert_eq!(count["count"], self.sent);
    }

    /// Everything works: the run is done, and the records are there.
    async fn works(&self, run: &str) {
        let ended = self.ended(run).await;
        assert_eq!(ended["state"], "done", "{ended}");
        let connection = self.api.connection(&self.connection).await;
        assert_eq!(connection["state"], "ready", "{connection}");
        let (status, check) = self.api.check(&self.connection).await;
        assert_eq!(status, 200, "{check}");
        let path = format!("/api/records/count?connection={}", self.connection);
        assert_eq!(self.api.get(&path).await["count"], ORDERS);
    }

    /// The user has to sign in, is told why, and the work is held until then.
    async fn is_held_until_a_sign_in(&self, run: &str) {
        let ended = self.ended(run).await;
        assert_eq!(ended["state"], "failed", "{ended}");
        assert_eq!(ended["error"]["code"], "sign_in", "{ended}");
        let connection = self.api.connection(&self.connection).await;
        assert_eq!(connection["state"], "needs_sign_in");
        let why = connection["why"].as_str().unwrap();
        assert!(why.starts_with("The answer to the last renewal of the sign-in was lost"), "{why}");
        let asked = self.asked();
        assert_eq!(self.api.check(&self.connection).await.0, 409);
        assert_eq!(self.asked(), asked, "it is tried once");

        self.sign_in().await;

        // The sync begins by itself.
        let runs = self.api.until("/api/sync-runs?limit=1", |runs| {
            runs["sync_runs"][0]["id"] != run && runs["sync_runs"][0]["state"] == "done"
        });
        let next = runs.await["sync_runs"][0]["id"].as_str().unwrap().to_owned();
        self.works(&next).await;
    }
}

/// How often each way is gone.
fn rounds() -> u32 {
    std::env::var("PATCHBAY_KILLS").map_or(10, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_provider_did_anything_nothing_is_lost() {
    let mut bench = Bench::start().await;
    for point in [Point::Came, Point::Read] {
        for _ in 0..rounds() {
            bench.is_killed(Kill::At(point)).await;
            let asked = bench.asked();

            let run = bench.starts_again().await;

            bench.works(&run).await;
            assert_eq!(bench.asked(), asked + 1, "{point:?}");
            bench.receives().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_the_new_tokens_are_in_the_vault_nothing_is_lost() {
    let mut bench = Bench::start().await;
    for kill in [Kill::Kept, Kill::Finished] {
        for _ in 0..rounds() {
            bench.is_killed(kill).await;
            let asked = bench.asked();

            let run = bench.starts_again().await;

            bench.works(&run).await;
            assert_eq!(bench.asked(), asked, "{kill:?}");
            bench.receives().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_a_provider_that_grants_grace_gives_other_tokens() {
    let mut bench = Bench::start().await;
    bench.books.lock().unwrap().grants_grace = true;
    for point in [Point::Done, Point::Answered] {
        for _ in 0..rounds() {
            bench.is_killed(Kill::At(point)).await;
            let asked = bench.asked();

            let run = bench.starts_again().await;

            bench.works(&run).await;
            // An answer that was written may just have been kept.
            assert!(bench.asked() <= asked + 1, "{point:?}");
            bench.receives().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_any_other_is_tried_once_and_the_work_is_held() {
    let mut bench = Bench::start().await;
    for _ in 0..rounds() {
        bench.is_killed(Kill::At(Point::Done)).await;
        let asked = bench.asked();

        let run = bench.starts_again().await;

        bench.receives().await;
        bench.is_held_until_a_sign_in(&run).await;
        assert_eq!(bench.asked(), asked + 1);
        bench.receives().await;
    }
}
