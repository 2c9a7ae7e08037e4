//! The store from outside, on a real database in a directory of its own.

use std::collections::BTreeMap;

use domain::connection::ConnectionState;
use domain::event::{DedupeKey, NewEvent, Origin, Proof, ProofDetail};
use domain::page::At;
use domain::refusal::Reason;
use tempfile::TempDir;

use super::*;

pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) dir: TempDir,
}

impl Desk {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(dir.path(), at(0)).unwrap(), dir }
    }

    pub(super) async fn inbox(&self, name: &str) -> InboxId {
        let inbox = NewInbox {
            name: name.into(),
            connector: "any".into(),
            connection: None,
            settings: BTreeMap::new(),
            key: format!("key-{name}"),
            sandbox: false,
            registration: Registration::ByHand,
        };
        self.store.create_inbox(inbox, at(0)).await.unwrap().id
    }

    pub(super) async fn connection(&self, sandbox: bool) -> ConnectionId {
        let connection = NewConnection {
            connector: "any".into(),
            name: "shop".into(),
            way: 0,
            settings: BTreeMap::from([("host".into(), "shop.example".into())]),
            sandbox,
            state: ConnectionState::Ready,
        };
        self.store.create_connection(connection, at(0)).await.unwrap().id
    }

    pub(super) async fn sync(&self, connection: ConnectionId, stream: &str) -> SyncId {
        let sync = NewSync {
            connection,
            stream: stream.into(),
            schedule: None,
            paused: false,
            sandbox: false,
        };
        self.store.create_sync(sync, None, at(0)).await.unwrap().id
    }

    pub(super) async fn run(&self, sync: SyncId) -> SyncRunId {
        self.store.begin_run(sync, RunTrigger::Hand, Extent::Changes, None, at(1)).await.unwrap().id
    }

    pub(super) async fn page(&self, run: SyncRunId, records: Vec<NewRecord>) -> Result<Counts> {
        let page = SyncPage {
            run,
            records,
            cursor: "{}".into(),
            newest_at: None,
            expected: None,
            at: at(2),
        };
        self.store.commit_page(page).await
    }

    async fn list(&self, filter: &EventFilter, page: Page<EventId>) -> Vec<EventId> {
        let slice = self.store.events(filter, page).await.unwrap();
        slice.items.into_iter().map(|event| event.id).collect()
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn page<I>(limit: usize, at: At<I>) -> Page<I> {
    Page { limit, at }
}

pub(super) fn event(inbox: InboxId, kind: &str, body: &str) -> NewEvent {
    NewEvent {
        inbox,
        connection: None,
        event_type: kind.into(),
        title: format!("title of {kind}"),
        external_id: None,
        about: None,
        occurred_at: None,
        received_at: at(10),
        origin: Origin::Push,
        proof: Proof::Verified,
        proof_detail: ProofDetail::default(),
        method: "POST".into(),
        query: None,
        headers: vec![("content-type".into(), "application/json".into())],
        body: Bytes::copy_from_slice(body.as_bytes()),
        sandbox: false,
    }
}

fn arrival(inbox: InboxId, key: u8) -> Arrival {
    let key = DedupeKey([key; 16]);
    Arrival { key: Some(key), event: event(inbox, "order.created", "{\"n\": 1}") }
}

pub(super) fn record(key: &str, data: &str) -> NewRecord {
    NewRecord { key: key.into(), version: None, data: data.into(), deleted: false }
}

#[tokio::test]
async fn a_repeat_changes_nothing_but_its_arrival() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let first = desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();

    let mut again = arrival(inbox, 1);
    again.event.received_at = at(20);
    let repeat = desk.store.accept(vec![again]).await.unwrap();

    let Accepted::New(id) = first[0] else { panic!("{first:?}") };
    assert_eq!(repeat, [Accepted::Repeat(id)]);
    let event = desk.store.event(id).await.unwrap();
    assert_eq!(event.summary.arrived, 2);
    assert_eq!((event.first_at, event.last_at), (at(10), at(20)));
    assert_eq!(event.summary.received_at, at(10));
    assert_eq!(desk.list(&EventFilter::default(), page(10, At::Newest)).await, [id]);
    desk.store.close().await.unwrap();
    assert_eq!(desk.store.event(id).await.unwrap_err(), Error::Closed);
    drop(desk.dir);
}

#[tokio::test]
async fn an_event_comes_back_as_it_was_given() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let mut given = event(inbox, "order.created", "\u{0}\u{1}bytes");
    given.external_id = Some("msg_1".into());
    given.query = Some("a=b".into());
    given.occurred_at = Some(at(5));
    given.about = Some(domain::event::About {
        stream: "orders".into(),
        record_key: "1001".into(),
        record_version: Some("3".into()),
    });
    given.proof_detail.scheme = Some("hmac".into());
    let arrival = Arrival { key: None, event: given.clone() };

    let accepted = desk.store.accept(vec![arrival]).await.unwrap();

    let Accepted::New(id) = accepted[0] else { panic!() };
    let event = desk.store.event(id).await.unwrap();
    assert_eq!(event.summary.title, given.title);
    assert_eq!(event.summary.external_id, given.external_id);
    assert_eq!(event.summary.size_bytes, given.body.len() as u64);
    assert_eq!(event.about, given.about);
    assert_eq!(event.occurred_at, given.occurred_at);
    assert_eq!(event.proof_detail, given.proof_detail);
    assert_eq!(event.headers, given.headers);
    assert_eq!(event.query, given.query);
    assert_eq!(desk.store.event_body(id).await.unwrap(), given.body);
}

#[tokio::test]
async fn a_call_is_stored_whole_or_not_at_all() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let missing = InboxId::new(99);

    let refused = desk.store.accept(vec![arrival(inbox, 1), arrival(missing, 2)]).await;

    assert_eq!(refused, Err(Error::NotFound));
    assert_eq!(desk.list(&EventFilter::default(), page(10, At::Newest)).await, []);
    // The key was not kept either.
    let accepted = desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    assert!(matches!(accepted[0], Accepted::New(_)));
}

#[tokio::test]
async fn a_page_says_what_it_did() {
    let desk = Desk::new();
    let connection = desk.connection(false).await;
    let sync = desk.sync(connection, "orders").await;
    let run = desk.run(sync).await;

    let first = desk.page(run, vec![record("1", "{}"), record("2", "{}")]).await.unwrap();
    let gone = NewRecord { deleted: true, ..record("2", "null") };
    let second =
        desk.page(run, vec![record("1", "{}"), gone, record("3", "{\"a\":1}")]).await.unwrap();

    assert_eq!(first, Counts { pages: 1, records: 2, inserted: 2, ..Counts::default() });
    let expected =
        Counts { pages: 1, records: 3, inserted: 1, unchanged: 1, deleted: 1, ..Counts::default() };
    assert_eq!(second, expected);
    let filter = RecordFilter { connection: Some(connection), ..RecordFilter::default() };
    let count = desk.store.record_count(&filter).await.unwrap();
    assert_eq!(count, Count { count: 2, exact: true });
    let slice = desk.store.records(&filter, page(10, At::Newest)).await.unwrap();
    let keys: Vec<_> = slice.items.iter().map(|item| item.record.key.as_str()).collect();
    assert_eq!(keys, ["3", "2", "1"]);
    assert_eq!(desk.store.sync_cursor(sync).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(desk.store.sync_run(run).await.unwrap().counts.records, 5);
}

#[tokio::test]
async fn a_run_that_has_ended_writes_nothing() {
    let desk = Desk::new();
    let sync = desk.sync(desk.connection(false).await, "orders").await;
    let run = desk.run(sync).await;
    desk.store.finish_run(run, RunState::Cancelled { at: at(3) }).await.unwrap();

    let refused = desk.page(run, vec![record("1", "{}")]).await;

    assert_eq!(refused, Err(Error::RunEnded));
    let count = desk.store.record_count(&RecordFilter::default()).await.unwrap();
    assert_eq!(count.count, 0);
    assert_eq!(desk.store.sync_cursor(sync).await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_inbox_takes_its_events_with_it() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    let many = (0..600).map(|_| Arrival { key: None, event: event(a, "x", "{}") }).collect();
    desk.store.accept(many).await.unwrap();
    desk.store.accept(vec![arrival(b, 1)]).await.unwrap();
    let refusal = NewRefusal {
        inbox: Some(a),
        at: at(1),
        address: None,
        method: "POST".into(),
        path: "/in/…".into(),
        reason: Reason::Unsigned,
        message: "no signature".into(),
        headers: Vec::new(),
        body_start: Vec::new(),
        size_bytes: 0,
    };
    desk.store.refuse(refusal);

    let gone = desk.store.delete_inbox(a).await.unwrap();

    assert_eq!(gone, 600);
    assert_eq!(desk.store.inbox(a).await, Err(Error::NotFound));
    assert_eq!(desk.store.event_count(&EventFilter::default()).await.unwrap().count, 1);
    assert_eq!(desk.store.accept(vec![arrival(a, 1)]).await, Err(Error::NotFound));
    assert!(desk.store.refusals(None, page(10, At::Newest)).await.unwrap().items.is_empty());
    desk.store.check().await.unwrap();
}
