//! Runs and the scheduler against an API whose every answer a test decides.

mod words;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use domain::connection::{ConnectionState, NewConnection};
use domain::record::NewRecord;
use domain::sync::Counts;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::*;
use crate::Config;
use crate::clock::Clock;
use crate::data_dir::DataDir;
use crate::tunnel::Environment;
use crate::vault::Vault;

const CONNECTOR: &str = "
format: 1
id: test
name: Test
status: documented
settings:
  url: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' }
  shop: { title: Shop, default: main }
base_url: '{{ settings.url }}'
auth: [{ none: {} }]
limit: { retry_after: seconds }
streams:
  orders:
    get: /orders
    query: { limit: '2' }
    records: .data
    key: .id
    version: .updated_at
    page: { cursor: { param: cursor, at: .next } }
    since: { param: since, field: .updated_at }
    total: .total
  pages:
    get: /pages
    records: .data
    key: .id
    page: { next_url: .next }
  file: { get: /file, records: ., key: .id, conditional: true, deletions: sweep }
  listed: { get: /listed, records: .data, key: .id, conditional: true, page: { cursor: { param: cursor, at: .next } } }
  of_shop: { get: '/shops/{{ settings.shop }}', records: .data, key: .id, since: { param: since, field: .updated_at } }
  lines:
    parent: { stream: orders, when: .id != 3 }
    get: '/orders/{{ parent.id }}/lines'
    records: .data
    add: { order: '{{ parent.id }}' }
    key: [.order, .id]
    page: { cursor: { param: cursor, at: .next } }
    since: { param: since, field: .updated_at }
    deletions: sweep
  notes:
    parent: { stream: orders, changed: true }
    get: '/orders/{{ parent.id }}/notes'
    records: .data
    add: { order: '{{ parent.id }}' }
    key: [.order, .id]
  people: { get: /people, records: .data, key: .id, since: { param: since, field: .updated_at }, deletions: { stream: removed } }
  removed: { get: /removed, records: .data, key: .id, page: { cursor: { param: cursor, at: .next } } }
  swept: { get: /swept, records: .data, key: .id, page: { cursor: { param: cursor, at: .next } }, deletions: sweep }
  export:
    job:
      create: { post: /jobs, json: { what: all } }
      id: .id
      poll: { get: '/jobs/{{ job.id }}' }
      every: 30s
      within: 2h
      done: .state == \"done\"
      failed: .state == \"failed\"
      why: .why
      urls: .urls
      cancel: { delete: '/jobs/{{ job.id }}' }
    answer: csv
    records: .
    key: .id
    deletions: sweep
  results:
    job:
      create: { post: /jobs, json: { since: '{{ cursor }}' } }
      id: .id
      poll: { get: '/jobs/{{ job.id }}' }
      done: .state == \"done\"
      download: { get: '/jobs/{{ job.id }}/results' }
    records: .data
    key: .id
    page: { cursor: { param: cursor, at: .next } }
    since: { field: .updated_at }
  history:
    journal: { first: { get: /journal }, next: { get: '/journal/{{ offset }}' }, offset: .offset, url: .url }
    records: .
    key: .id
";

/// A clock that a test sets.
#[derive(Clone)]
struct TestClock(Arc<Mutex<Timestamp>>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl TestClock {
    fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

/// What the API answers.
#[derive(Clone)]
enum Reply {
    Json(Value),
    Text(&'static str),
    Status(StatusCode, &'static [(&'static str, &'static str)]),
    /// Nothing until the test lets it.
    Held(Value),
    /// Bytes with headers.
    Bytes(Vec<u8>, Vec<(&'static str, &'static str)>),
}

/// An API that answers in turn what it was told to, and notes what it was asked.
#[derive(Clone)]
struct Api {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<watch::Sender<Vec<String>>>,
    /// What each request wanted to know of changes, by `if-none-match` and `if-modified-since`.
    conditions: Arc<Mutex<Vec<String>>>,
    held: Arc<Semaphore>,
    url: String,
}

impl Api {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            replies: Arc::default(),
            asked: Arc::new(watch::Sender::new(Vec::new())),
            conditions: Arc::default(),
            held: Arc::new(Semaphore::new(0)),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let routes = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        api
    }

    fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// Waits until it was asked so often.
    async fn was_asked(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        let waiting = asked.wait_for(|asked| asked.len() >= times);
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    }

    fn release(&self) {
        self.held.add_permits(1);
    }
}

async fn answer(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let condition = ["if-none-match", "if-modified-since"]
        .map(|name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned());
    api.conditions.lock().unwrap().push(condition.join("|"));
    let asked = match method {
        Method::GET => uri.to_string(),
        method => format!("{method} {uri} {body}").trim_end().to_owned(),
    };
    api.asked.send_modify(|all| all.push(asked));
    let reply = api.replies.lock().unwrap().pop_front();
    let json = |value: &Value| {
        let headers = [("content-type", "application/json")];
        (headers, value.to_string()).into_response()
    };
    match reply {
        None => StatusCode::NOT_IMPLEMENTED.into_response(),
        Some(Reply::Json(value)) => json(&value),
        Some(Reply::Text(text)) => text.into_response(),
        Some(Reply::Status(status, headers)) => {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            (status, map).into_response()
        }
        Some(Reply::Bytes(bytes, headers)) => {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(name, value.parse().unwrap());
            }
            (map, bytes).into_response()
        }
        Some(Reply::Held(value)) => {
            api.held.acquire().await.unwrap().forget();
            json(&value)
        }
    }
}

/// A page of orders with these ids.
fn page(ids: std::ops::RangeInclusive<u64>, next: Option<&str>) -> Reply {
    Reply::Json(orders(ids, next))
}

fn held(ids: std::ops::RangeInclusive<u64>, next: Option<&str>) -> Reply {
    Reply::Held(orders(ids, next))
}

fn orders(ids: std::ops::RangeInclusive<u64>, next: Option<&str>) -> Value {
    let order = |id| json!({ "id": id, "updated_at": format!("2026-03-01T00:00:{id:02}Z") });
    json!({ "data": ids.map(order).collect::<Vec<_>>(), "next": next, "total": 9 })
}

struct Bench {
    engine: Engine,
    api: Api,
    clock: TestClock,
    dir: tempfile::TempDir,
    connection: ConnectionId,
}

impl Bench {
    /// An engine that runs, with a connection that is ready.
    async fn start() -> Self {
        let bench = Self::idle(ConnectionState::Ready).await;
        start(bench.engine.clone());
        bench
    }

    async fn idle(state: ConnectionState) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("connectors/test");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("connector.yaml"), CONNECTOR.trim_start()).unwrap();
        let clock = TestClock(Arc::new(Mutex::new("2026-03-02T09:00:00Z".parse().unwrap())));
        let engine = open(dir.path(), &clock).await;
        let api = Api::start().await;
        let connection = NewConnection {
            connector: "test".into(),
            name: "Test".into(),
            way: "none".into(),
            settings: [("url".to_owned(), api.url.clone())].into(),
            sandbox: false,
            state,
            given_to: None,
        };
        let connection = engine.inner.store.create_connection(connection, clock.now()).await;
        let connection = connection.unwrap().id;
        Self { engine, api, clock, dir, connection }
    }

    /// As after the end of the program: the same data, another engine.
    async fn again(self) -> Self {
        self.engine.stop().await;
        let Self { engine, api, clock, dir, connection } = self;
        drop(engine);
        let engine = open(dir.path(), &clock).await;
        start(engine.clone());
        Self { engine, api, clock, dir, connection }
    }

    async fn sync(&self, stream: &str, every: Option<&str>) -> SyncId {
        let schedule = every.map(|every| Schedule::Every { every: every.into() });
        let request = SyncRequest { connection: self.connection, stream: stream.into(), schedule };
        self.engine.create_sync(request).await.unwrap().sync.id
    }

    async fn orders(&self) -> SyncId {
        self.sync("orders", None).await
    }

    /// Waits until something is so, looking again whenever something is said to have changed.
    async fn until<T, F: Future<Output = Option<T>>>(&self, mut look: impl FnMut() -> F) -> T {
        let mut changes = self.engine.changes().watch(None);
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                changes.next().await.expect("the engine is open");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it never came")
    }

    /// Waits for the end of run number `number`, from 1.
    async fn end(&self, sync: SyncId, number: usize) -> SyncRun {
        self.until(async || {
            let runs = self.engine.sync(sync).await.unwrap().runs;
            let run = runs.iter().rev().nth(number - 1)?.clone();
            // A run that still is in memory is about to leave.
            let ended = run.state != RunState::Running;
            (ended && self.engine.inner.syncs.run(run.id).is_none()).then_some(run)
        })
        .await
    }

    async fn state(&self, sync: SyncId) -> SyncState {
        self.engine.sync(sync).await.unwrap().state
    }

    async fn keys(&self) -> Vec<String> {
        let page = Page { limit: 1_000, at: At::Newest };
        let records = self.engine.records(&RecordFilter::default(), page).await.unwrap();
        let mut keys: Vec<_> = records.items.into_iter().map(|one| one.record.key).collect();
        keys.sort();
        keys
    }
}

async fn open(dir: &std::path::Path, clock: &TestClock) -> Engine {
    let config = Config {
        data_dir: DataDir::own(dir).unwrap(),
        clock: Arc::new(clock.clone()),
        vault: Vault::memory(),
        environment: Environment::new([]),
        sandbox: None,
    };
    Engine::open(config).await.unwrap()
}

fn code(run: &SyncRun) -> &str {
    match &run.state {
        RunState::Failed { error, .. } => &error.code,
        RunState::Running => "running",
        RunState::Done { .. } => "done",
        RunState::Cancelled { .. } => "cancelled",
    }
}

#[tokio::test]
async fn the_first_run_reads_all_pages_as_they_were_written() {
    let bench = Bench::start().await;
    let raw = r#"{"data":[{"id":9007199254740993,"total":19.90,"new":{"x":[]},"updated_at":"2026-03-01T00:00:00.5Z"}],"next":"b"}"#;
    bench.api.replies([Reply::Text(raw), page(1..=2, None)]);

    let run = bench.end(bench.orders().await, 1).await;

    assert_eq!((code(&run), run.trigger), ("done", RunTrigger::First));
    assert_eq!(run.counts, Counts { pages: 2, records: 3, inserted: 3, ..Counts::default() });
    assert_eq!(run.expected, Some(9));
    assert_eq!(bench.api.asked(), ["/orders?limit=2", "/orders?limit=2&cursor=b"]);
    let filter = RecordFilter { text: Some("9007199254740993".into()), ..RecordFilter::default() };
    let page = Page { limit: 1, at: At::Newest };
    let found = bench.engine.records(&filter, page).await.unwrap().items.remove(0).record;
    let expected = NewRecord {
        key: "9007199254740993".into(),
        version: Some("2026-03-01T00:00:00.5Z".into()),
        data: raw[9..raw.len() - 13].into(),
        deleted: false,
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_next_run_asks_for_what_changed_and_knows_what_did_not() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=3, None), page(3..=4, None)]);
    let sync = bench.orders().await;
    bench.end(sync, 1).await;

    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();

    let run = bench.end(sync, 2).await;
    assert_eq!(bench.api.asked()[1], "/orders?limit=2&since=2026-03-01T00%3A00%3A03.000Z");
    let counts = Counts { pages: 1, records: 2, inserted: 1, unchanged: 1, ..Counts::default() };
    assert_eq!((run.counts, run.trigger), (counts, RunTrigger::Hand));
    bench.clock.advance(60);
    let status = bench.engine.sync(sync).await.unwrap();
    assert_eq!(status.state, SyncState::Idle);
    assert_eq!(status.records.count, 4);
    assert_eq!(status.lag, Some(SignedDuration::from_secs(60)));
}

#[tokio::test]
async fn a_full_run_reads_everything_again() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None), page(1..=2, None)]);
    let sync = bench.orders().await;
    bench.end(sync, 1).await;

    bench.engine.run_sync(sync, Extent::Full).await.unwrap();

    let run = bench.end(sync, 2).await;
    assert_eq!(bench.api.asked()[1], "/orders?limit=2");
    assert_eq!((run.counts.unchanged, run.extent), (2, Extent::Full));
}

#[tokio::test]
async fn a_run_that_the_end_of_the_program_stops_goes_on_after_the_last_page() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, Some("b")), page(3..=4, Some("c")), held(5..=6, None)]);
    let sync = bench.orders().await;
    bench.api.was_asked(3).await;
    // The page before the one that is held may still be in writing.
    bench
        .until(async || {
            let run = bench.engine.sync(sync).await.unwrap().runs.remove(0);
            (run.counts.pages == 2).then_some(())
        })
        .await;

    bench.api.replies([page(5..=6, None)]);
    let bench = bench.again().await;

    let run = bench.end(sync, 1).await;
    assert_eq!((code(&run), run.counts.pages, run.counts.inserted), ("done", 3, 6));
    assert_eq!(bench.api.asked()[2..], ["/orders?limit=2&cursor=c", "/orders?limit=2&cursor=c"]);
    assert_eq!(bench.keys().await, ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_run_whose_last_page_was_written_is_not_begun_again() {
    let bench = Bench::idle(ConnectionState::Ready).await;
    let sync = bench.orders().await;
    let store = &bench.engine.inner.store;
    let now = bench.clock.now();
    let run = store.begin_run(sync, RunTrigger::First, Extent::Changes, None, now).await.unwrap();
    let last = store::SyncPage {
        cursor: Some(r#"{"since":"2026-03-01T00:00:00Z"}"#.into()),
        pages: 1,
        ..store::SyncPage::of(run.id, now)
    };
    store.commit_page(last).await.unwrap();

    start(bench.engine.clone());

    assert_eq!(code(&bench.end(sync, 1).await), "done");
    assert!(bench.api.asked().is_empty());
}

#[tokio::test]
async fn a_cancelled_run_ends_at_once_and_keeps_what_it_has() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, Some("b")), held(3..=4, None)]);
    let sync = bench.orders().await;
    bench.api.was_asked(2).await;
    let id = bench.engine.sync(sync).await.unwrap().runs[0].id;
    bench
        .until(async || {
            let (run, _) = bench.engine.sync_run(id).await.unwrap();
            (run.counts.pages == 1).then_some(())
        })
        .await;

    let run = bench.engine.cancel_run(id).await.unwrap();

    assert_eq!(code(&run), "cancelled");
    assert_eq!(bench.keys().await, ["1", "2"]);
    assert!(matches!(bench.engine.cancel_run(id).await, Err(Error::Ended)));
    bench.api.replies([page(3..=4, None)]);
    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    bench.end(sync, 2).await;
    assert_eq!(bench.api.asked()[2], "/orders?limit=2&cursor=b");
    assert_eq!(bench.keys().await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_run_that_is_asked_for_twice_runs_once() {
    let bench = Bench::start().await;
    bench.api.replies([held(1..=2, None)]);
    let sync = bench.orders().await;
    bench.api.was_asked(1).await;

    let one = bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    let other = bench.engine.run_sync(sync, Extent::Changes).await.unwrap();

    assert_eq!((one.id, one.trigger), (other.id, RunTrigger::First));
    assert_eq!(bench.state(sync).await, SyncState::Running);
    bench.api.release();
    bench.end(sync, 1).await;
    assert_eq!(bench.api.asked().len(), 1);
}

#[tokio::test]
async fn a_run_of_changes_makes_way_for_a_full_one() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None)]);
    let sync = bench.orders().await;
    bench.end(sync, 1).await;
    bench.api.replies([held(3..=3, None), held(1..=3, None)]);
    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    bench.api.was_asked(2).await;

    let full = bench.engine.run_sync(sync, Extent::Full).await.unwrap();

    assert_eq!(full.extent, Extent::Full);
    assert_eq!(code(&bench.end(sync, 2).await), "cancelled");
    bench.api.was_asked(3).await;
    assert_eq!(bench.api.asked()[2], "/orders?limit=2");
    let again = bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    assert_eq!(again.id, full.id);
    bench.api.held.add_permits(2);
    assert_eq!(code(&bench.end(sync, 3).await), "done");
    assert_eq!(bench.keys().await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_schedule_that_changes_while_a_run_begins_keeps_both() {
    let bench = Bench::start().await;
    bench.api.replies((1..=9).map(|id| page(id..=id, None)));
    let sync = bench.sync("orders", Some("5m")).await;
    bench.end(sync, 1).await;
    bench.clock.advance(301);

    let every = Some(Schedule::Every { every: "1h".into() });
    let (changed, run) = tokio::join!(
        bench.engine.update_sync(sync, Some(every.clone()), None),
        bench.engine.run_sync(sync, Extent::Changes)
    );

    changed.unwrap();
    run.unwrap();
    bench.end(sync, 2).await;
    let now = bench.engine.sync(sync).await.unwrap().sync;
    assert_eq!(now.sync.schedule, every);
    let next = now.next_run_at.unwrap();
    assert!(next > bench.clock.now() + SignedDuration::from_secs(3_000), "{next}");
}

#[tokio::test]
async fn bad_answers_end_a_run_with_a_reason_and_leave_the_cursor() {
    let bench = Bench::start().await;
    let bad = [
        (Reply::Text("<!doctype html><p>Sign in</p>"), "bad_answer"),
        (Reply::Text("{\"data\":[{"), "bad_answer"),
        (Reply::Json(json!({ "items": [] })), "bad_answer"),
        (Reply::Json(json!({ "data": [{ "name": "no key" }] })), "bad_answer"),
        (Reply::Json(json!({ "data": [{ "id": 9 }], "next": "b" })), "endless"),
        (Reply::Status(StatusCode::FORBIDDEN, &[]), "forbidden"),
        (Reply::Status(StatusCode::INTERNAL_SERVER_ERROR, &[]), "provider"),
    ];
    bench.api.replies([page(1..=2, Some("b"))]);
    let mut replies = bad.iter();
    bench.api.replies(replies.next().map(|(reply, _)| reply.clone()));
    let sync = bench.orders().await;

    for (number, (_, expected)) in bad.iter().enumerate() {
        let run = bench.end(sync, number + 1).await;
        assert_eq!(code(&run), *expected, "{:?}", run.state);
        assert_eq!(bench.state(sync).await, SyncState::Failed);
        assert_eq!(bench.api.asked().last().unwrap(), "/orders?limit=2&cursor=b");
        bench.api.replies(replies.next().map(|(reply, _)| reply.clone()));
        bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    }
    assert_eq!(bench.keys().await, ["1", "2"]);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_reported_and_not_called() {
    let bench = Bench::start().await;
    let elsewhere = Api::start().await;
    let next = format!("{}/pages?p=2", elsewhere.url);
    bench.api.replies([Reply::Json(json!({ "data": [{ "id": 1 }], "next": next }))]);

    let run = bench.end(bench.sync("pages", None).await, 1).await;

    assert_eq!(code(&run), "host");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn pages_that_lead_nowhere_end_the_run_and_keep_what_was_read() {
    let said = |ids: std::ops::RangeInclusive<u64>, next: &str| page(ids, Some(next));
    for (what, replies, asked, keys) in [
        ("a cursor that does not advance", vec![said(1..=2, "b"), said(3..=4, "b")], 2, 2),
        ("a page that comes again", vec![said(1..=2, "b"), said(1..=2, "c")], 2, 2),
        (
            "cursors that go round",
            vec![said(1..=1, "b"), said(2..=2, "c"), said(3..=3, "d"), said(4..=4, "c")],
            4,
            3,
        ),
    ] {
        let bench = Bench::start().await;
        bench.api.replies(replies);

        let run = bench.end(bench.orders().await, 1).await;

        assert_eq!(code(&run), "endless", "{what}");
        assert_eq!(bench.api.asked().len(), asked, "{what}");
        assert_eq!(bench.keys().await.len(), keys, "{what}");
    }
}

#[tokio::test]
async fn pages_without_a_record_end_the_run() {
    let bench = Bench::start().await;
    let most = usize::try_from(domain::paging::MAX_EMPTY).unwrap();
    let empty = |number: usize| Reply::Json(json!({ "data": [], "next": format!("c{number}") }));
    bench.api.replies((0..most + 5).map(empty));

    let run = bench.end(bench.orders().await, 1).await;

    assert_eq!(code(&run), "endless");
    assert_eq!(bench.api.asked().len(), most + 1);
}

#[tokio::test]
async fn a_position_that_the_other_side_has_forgotten_begins_anew() {
    let bench = Bench::start().await;
    let gone = Reply::Status(StatusCode::GONE, &[]);
    bench.api.replies([page(1..=2, Some("b")), Reply::Status(StatusCode::FORBIDDEN, &[])]);
    let sync = bench.orders().await;
    bench.end(sync, 1).await;

    bench.api.replies([gone.clone(), page(1..=2, Some("c")), page(3..=4, None)]);
    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();

    let run = bench.end(sync, 2).await;
    assert_eq!((code(&run), run.counts.pages), ("done", 2));
    assert_eq!(bench.api.asked()[2..4], ["/orders?limit=2&cursor=b", "/orders?limit=2"]);
    // Only what an earlier run left is doubted, not what this one was just told.
    bench.api.replies([page(5..=6, Some("d")), gone]);
    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    assert_eq!(code(&bench.end(sync, 3).await), "refused");
}

#[tokio::test]
async fn a_run_waits_as_long_as_it_is_told_to() {
    let bench = Bench::start().await;
    let later = Reply::Status(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "3600")]);
    bench.api.replies([later, page(1..=2, None)]);
    let sync = bench.orders().await;

    let until = bench
        .until(async || match bench.state(sync).await {
            SyncState::Waiting { until, .. } => until,
            _ => None,
        })
        .await;
    assert_eq!(until, bench.clock.now() + SignedDuration::from_secs(3_600));
    bench.clock.advance(3_600);

    assert_eq!(code(&bench.end(sync, 1).await), "done");
}

#[tokio::test]
async fn a_run_says_what_it_waits_for_before_it_tries_again() {
    let bench = Bench::start().await;
    let soon = Reply::Status(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "15")]);
    bench.api.replies([soon, page(1..=2, None)]);
    let sync = bench.orders().await;

    let (why, until) = bench
        .until(async || match bench.state(sync).await {
            SyncState::Waiting { why, until } => Some((why, until)),
            _ => None,
        })
        .await;

    assert!(why.ends_with("says too many requests"), "{why}");
    assert_eq!(until, Some(bench.clock.now() + SignedDuration::from_secs(15)));
    let status = bench.engine.sync(sync).await.unwrap();
    assert_eq!(status.progress.unwrap().why, Some(why));
}

#[tokio::test]
async fn the_first_run_begins_as_soon_as_the_connection_is_ready() {
    let since = "2026-03-02T08:00:00Z".parse().unwrap();
    let state = ConnectionState::NeedsSignIn { why: "it was never signed in".into(), since };
    let bench = Bench::idle(state).await;
    start(bench.engine.clone());
    bench.api.replies([page(1..=2, None)]);
    let sync = bench.orders().await;
    let state = bench.state(sync).await;
    assert!(matches!(&state, SyncState::Waiting { why, .. } if why.contains("never signed in")));

    let store = &bench.engine.inner.store;
    store.set_connection_state(bench.connection, ConnectionState::Ready).await.unwrap();
    bench.engine.wake_syncs();

    let run = bench.end(sync, 1).await;
    assert_eq!((code(&run), run.trigger), ("done", RunTrigger::First));
}

#[tokio::test]
async fn a_run_by_hand_without_a_sign_in_says_so_and_is_made_up_for() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None)]);
    let sync = bench.orders().await;
    bench.end(sync, 1).await;
    let store = &bench.engine.inner.store;
    let since = bench.clock.now();
    let out = ConnectionState::NeedsSignIn { why: "the token was revoked".into(), since };
    store.set_connection_state(bench.connection, out).await.unwrap();

    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();

    assert_eq!(code(&bench.end(sync, 2).await), "sign_in");
    assert!(matches!(bench.state(sync).await, SyncState::Waiting { .. }));
    bench.api.replies([page(3..=4, None)]);
    store.set_connection_state(bench.connection, ConnectionState::Ready).await.unwrap();
    bench.engine.wake_syncs();
    assert_eq!(code(&bench.end(sync, 3).await), "done");
}

#[tokio::test]
async fn ticks_that_were_slept_through_run_once() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None), page(3..=3, None), page(4..=4, None)]);
    let sync = bench.sync("orders", Some("5m")).await;
    bench.end(sync, 1).await;

    bench.clock.advance(3 * 3_600);

    let run = bench.end(sync, 2).await;
    assert_eq!(run.trigger, RunTrigger::Schedule);
    let status = bench.engine.sync(sync).await.unwrap();
    assert_eq!(status.sync.next_run_at, Some(bench.clock.now() + SignedDuration::from_secs(300)));
    assert_eq!((status.runs.len(), bench.api.asked().len()), (2, 2));
}

#[tokio::test]
async fn a_paused_sync_runs_by_hand_only() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None), page(3..=3, None), page(4..=4, None)]);
    let sync = bench.sync("orders", Some("5m")).await;
    bench.end(sync, 1).await;
    let paused = bench.engine.update_sync(sync, None, Some(true)).await.unwrap();
    assert_eq!(paused.state, SyncState::Paused);
    bench.clock.advance(3_600);

    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    assert_eq!(bench.end(sync, 2).await.trigger, RunTrigger::Hand);
    bench.clock.advance(3_600);
    bench.engine.update_sync(sync, None, Some(false)).await.unwrap();

    assert_eq!(bench.end(sync, 3).await.trigger, RunTrigger::Schedule);
}

#[tokio::test]
async fn a_stream_or_schedule_that_is_none_is_refused() {
    let bench = Bench::start().await;
    let create = |stream: &str, every: &str| {
        bench.engine.create_sync(SyncRequest {
            connection: bench.connection,
            stream: stream.into(),
            schedule: Some(Schedule::Every { every: every.into() }),
        })
    };

    let unknown = create("order", "5m").await.unwrap_err().to_string();
    assert_eq!(
        unknown,
        "`order` is not a stream of Test; it has orders, pages, file, listed, of_shop, lines, notes, \
         people, removed, swept, export, results, history"
    );
    assert!(matches!(create("orders", "5 minutes").await, Err(Error::Schedule(_))));
    assert!(bench.engine.syncs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_sync_stops_and_its_records_stay() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, Some("b")), held(3..=4, None)]);
    let sync = bench.orders().await;
    bench.api.was_asked(2).await;
    bench.until(async || (bench.keys().await.len() == 2).then_some(())).await;

    bench.engine.delete_sync(sync, Records::Kept).await.unwrap();

    assert!(bench.engine.syncs().await.unwrap().is_empty());
    bench.until(async || bench.engine.inner.syncs.of_sync(sync).is_none().then_some(())).await;
    assert_eq!(bench.keys().await, ["1", "2"]);
}

#[tokio::test]
async fn records_go_with_their_sync_where_that_is_asked_for() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None), page(1..=3, None)]);
    let sync = bench.orders().await;
    bench.end(sync, 1).await;

    bench.engine.delete_sync(sync, Records::Deleted).await.unwrap();
    assert_eq!(bench.keys().await, [""; 0]);

    // A sync of the same stream begins with nothing.
    let again = bench.orders().await;
    let run = bench.end(again, 1).await;
    assert_eq!((run.counts.inserted, run.counts.unchanged), (3, 0));
    assert_eq!(bench.keys().await, ["1", "2", "3"]);
}

#[tokio::test]
async fn progress_says_how_much_is_left() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, Some("b")), held(3..=4, None)]);
    let sync = bench.orders().await;
    bench.api.was_asked(2).await;

    let progress = bench
        .until(async || {
            let progress = bench.engine.sync(sync).await.unwrap().progress?;
            progress.seconds_left.is_some().then_some(progress)
        })
        .await;

    assert_eq!(progress.requests, 1);
    assert!(progress.records_per_second > 0.0);
    bench.api.release();
    bench.end(sync, 1).await;
    assert_eq!(bench.engine.sync(sync).await.unwrap().progress, None);
}
