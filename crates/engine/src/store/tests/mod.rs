//! The store from outside, on a real database in a directory of its own.

use std::collections::BTreeMap;

use domain::connection::ConnectionState;
use domain::event::{DedupeKey, NewEvent, Origin, Proof, ProofDetail};
use domain::page::At;
use domain::refusal::Reason;
use tempfile::TempDir;

use super::*;

mod events;
mod file;
mod intake;
mod nouns;
mod records;
mod refusals;
mod search;

pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) dir: TempDir,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(dir: TempDir) -> Self {
        Self { store: Store::open(dir.path(), at(0)).unwrap(), dir }
    }

    /// As after a restart.
    async fn reopen(self) -> Self {
        self.store.close().await.unwrap();
        Self::at(self.dir)
    }

    /// Does by hand what the store does not do.
    async fn sql(&self, sql: &'static str) {
        self.store.write(move |db| Ok(db.execute_batch(sql)?)).await.unwrap();
    }

    /// Looks behind the store's back.
    fn number(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.dir.path().join("patchbay.db")).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
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
            way: "oauth_code".into(),
            settings: BTreeMap::from([("host".into(), "shop.example".into())]),
            sandbox,
            state: ConnectionState::Ready,
            given_to: None,
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
        let page =
            SyncPage { records, cursor: Some("{}".into()), pages: 1, ..SyncPage::of(run, at(2)) };
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
