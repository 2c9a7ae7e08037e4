//! Syncs of the pretend shop, over real HTTP, from the sign-in on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{ConnectionId, SyncId};
use domain::page::{At, Page};
use domain::record::RecordFilter;
use domain::secret::{Secret, Secrets};
use domain::sync::{Extent, RunState, RunTrigger, SyncRun};
use engine::clock::SystemClock;
use engine::connection::ConnectionRequest;
use engine::data_dir::DataDir;
use engine::sync::{SyncRequest, SyncState};
use engine::tunnel::{Environment, ServeIngress};
use engine::vault::Vault;
use engine::{Config, Engine, SandboxAddress};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use sandbox::{Options, Rate, Sandbox};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// No tunnel is started here, so nothing is ever served.
struct NoIngress;

impl ServeIngress for NoIngress {
    fn serve(
        &self,
        _: Engine,
        _: tokio::net::TcpListener,
        _: Option<http::HeaderName>,
        _: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

struct Bench {
    shop: Sandbox,
    engine: Engine,
    connection: ConnectionId,
    client: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let rate = Rate { size: 100_000, per_second: 100_000.0 };
        let options = Options { orders_per_minute: 0, rate, ..Options::default() };
        let shop = Sandbox::start(options).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: DataDir::own(dir.path()).unwrap(),
            clock: Arc::new(SystemClock),
            vault: Vault::memory(),
            environment: Environment::new([]),
            sandbox: Some(SandboxAddress {
                url: shop.url().parse().unwrap(),
                control_url: shop.control_url().parse().unwrap(),
                control_token: Secret::new(shop.control_token().into()),
            }),
        };
        let engine = Engine::open(config).await.unwrap();
        let ingress = "http://127.0.0.1:1".parse().unwrap();
        engine.start(ingress, Arc::new(NoIngress)).await;
        let request = ConnectionRequest {
            connector: "sandbox".into(),
            name: "Shop".into(),
            way: None,
            settings: Default::default(),
            secrets: Secrets::new(),
        };
        let connection = engine.create_connection(request).await.unwrap().connection.id;
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { shop, engine, connection, client, _dir: dir }
    }

    /// What the user does in the browser.
    async fn sign_in(&self) {
        let authorize = self.engine.authorize(self.connection).await.unwrap();
        let form = [("decision", "allow")];
        let answer = self.client.post(authorize.authorize_url).form(&form).send().await.unwrap();
        let landed = answer.headers()["location"].to_str().unwrap().parse().unwrap();
        self.engine.complete_sign_in(&landed).await.unwrap();
    }

    async fn control(&self, path: &str, body: Value) {
        let url = format!("{}{path}", self.shop.control_url());
        let request = self.client.post(url).bearer_auth(self.shop.control_token()).json(&body);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    async fn sync(&self, stream: &str) -> SyncId {
        let request =
            SyncRequest { connection: self.connection, stream: stream.into(), schedule: None };
        self.engine.create_sync(request).await.unwrap().sync.id
    }

    async fn end(&self, sync: SyncId, number: usize) -> SyncRun {
        let mut changes = self.engine.changes().watch(None);
        let looking = async {
            loop {
                let runs = self.engine.sync(sync).await.unwrap().runs;
                let run = runs.into_iter().rev().nth(number - 1);
                if let Some(run) = run.filter(|run| run.state != RunState::Running) {
                    return run;
                }
                changes.next().await.unwrap();
            }
        };
        let run = tokio::time::timeout(Duration::from_secs(30), looking).await.unwrap();
        assert!(matches!(run.state, RunState::Done { .. }), "{:?}", run.state);
        run
    }

    /// The keys of a stream, as stored.
    async fn keys(&self, stream: &str) -> BTreeSet<String> {
        let filter = RecordFilter { stream: Some(stream.into()), ..RecordFilter::default() };
        let (mut keys, mut at) = (BTreeSet::new(), At::Newest);
        loop {
            let page = self.engine.records(&filter, Page { limit: 1_000, at }).await.unwrap();
            keys.extend(page.items.into_iter().map(|record| record.record.key));
            match page.next {
                Some(next) => at = At::Before(next),
                None => return keys,
            }
        }
    }
}

#[tokio::test]
async fn the_first_run_waits_for_the_sign_in_and_reads_the_whole_shop() {
    let bench = Bench::start().await;
    let (orders, products) = (bench.sync("orders").await, bench.sync("products").await);
    let state = bench.engine.sync(orders).await.unwrap().state;
    assert!(matches!(state, SyncState::Waiting { .. }), "{state:?}");

    bench.sign_in().await;

    let run = bench.end(orders, 1).await;
    assert_eq!(
        (run.trigger, run.counts.inserted, run.expected),
        (RunTrigger::First, 1_200, Some(1_200))
    );
    let keys = bench.keys("orders").await;
    assert_eq!(keys.len(), 1_200);
    // An id that doubles cannot hold.
    assert!(keys.contains("9007199254740999"));
    assert_eq!(bench.end(products, 1).await.counts.inserted, 120);
    assert_eq!(bench.keys("products").await.len(), 120);
    bench.engine.stop().await;
}

#[tokio::test]
async fn later_runs_bring_what_was_sold_since_though_the_token_ended() {
    let bench = Bench::start().await;
    bench.sign_in().await;
    let orders = bench.sync("orders").await;
    bench.end(orders, 1).await;
    bench.control("/control/orders", json!({ "count": 300 })).await;
    bench.control("/control/expire-tokens", json!({})).await;

    bench.engine.run_sync(orders, Extent::Changes).await.unwrap();

    let counts = bench.end(orders, 2).await.counts;
    assert_eq!(counts.inserted, 300);
    assert!(counts.records < 700, "{counts:?}");
    assert_eq!(bench.keys("orders").await.len(), 1_500);
    bench.engine.run_sync(orders, Extent::Full).await.unwrap();
    let counts = bench.end(orders, 3).await.counts;
    assert_eq!((counts.unchanged, counts.changed), (1_500, 0));
    bench.engine.stop().await;
}
