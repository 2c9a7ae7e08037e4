//! Searching: in the index, behind it, and when it is gone.

use super::*;

impl Desk {
    async fn put(&self, inbox: InboxId, title: &str, body: &str) -> EventId {
        let mut event = event(inbox, "order.created", body);
        event.title = title.into();
        event.external_id = Some("msg_77".into());
        event.headers.push(("user-agent".into(), "Kestrel/2".into()));
        event.headers.push(("authorization".into(), "[masked]".into()));
        let accepted = self.store.accept(vec![Arrival { key: None, event }]).await.unwrap();
        let Accepted::New(id) = accepted[0] else { panic!() };
        id
    }

    /// Waits until the index has come that far.
    pub(super) async fn indexed(&self, id: EventId) {
        let mut progress = self.store.inner.index.progress.subscribe();
        progress.wait_for(|up_to| *up_to >= id.get()).await.unwrap();
    }

    async fn find(&self, text: &str) -> Vec<EventId> {
        let filter = EventFilter { text: Some(text.into()), ..EventFilter::default() };
        let found = self.list(&filter, page(100, At::Newest)).await;
        let mut up = self.list(&filter, page(100, At::After(EventId::new(0)))).await;
        up.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(found, up);
        assert_eq!(self.store.event_count(&filter).await.unwrap().count, found.len() as u64);
        found
    }
}

/// What is found must not depend on whether the index has come that far.
async fn check(desk: &Desk, lemon: EventId, melon: EventId) {
    assert_eq!(desk.find("lemon").await, [lemon]);
    assert_eq!(desk.find("\"lemon tree\" 1001").await, [lemon]);
    assert_eq!(desk.find("\"tree lemon\"").await, []);
    assert_eq!(desk.find("order.created").await, [melon, lemon]);
    assert_eq!(desk.find("msg_77 kest").await, [melon, lemon]);
    assert_eq!(desk.find("muller").await, [melon]);
    assert_eq!(desk.find("masked").await, []);
    assert_eq!(desk.find("le").await, [lemon]);
    assert_eq!(desk.find("lemon OR melon").await, []);
    assert_eq!(desk.find("title:lemon").await, []);
    assert_eq!(desk.find("\" * (").await, []);
}

#[tokio::test]
async fn the_index_and_the_scan_behind_it_find_the_same() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let lemon = desk.put(inbox, "#1001 lemon tree", "{}").await;
    let melon = desk.put(inbox, "#1002", r#"{"melon":"M\u00fcller\nline"}"#).await;

    check(&desk, lemon, melon).await;
    desk.indexed(melon).await;
    check(&desk, lemon, melon).await;
    // One in the index, one behind it.
    let behind = desk.put(inbox, "lemon again", "").await;
    assert_eq!(desk.find("lemon").await, [behind, lemon]);
}

#[tokio::test]
async fn a_search_keeps_to_the_rest_of_the_filter() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    let first = desk.put(a, "lemon", "").await;
    let second = desk.put(b, "lemon", "").await;
    desk.indexed(second).await;
    let text = Some("lemon".to_owned());

    let of_a = EventFilter { inbox: Some(a), text: text.clone(), ..EventFilter::default() };
    let late = EventFilter { since: Some(at(11)), text: text.clone(), ..EventFilter::default() };
    let before = EventFilter { until: Some(at(11)), text, ..EventFilter::default() };

    assert_eq!(desk.list(&of_a, page(10, At::Newest)).await, [first]);
    assert_eq!(desk.list(&late, page(10, At::Newest)).await, []);
    assert_eq!(desk.list(&before, page(10, At::Newest)).await, [second, first]);
}

#[tokio::test]
async fn what_is_deleted_is_not_found() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    let gone = desk.put(a, "lemon", "").await;
    let stays = desk.put(b, "lemon", "").await;
    desk.indexed(stays).await;

    desk.store.delete_inbox(a).await.unwrap();

    assert!(gone < stays);
    assert_eq!(desk.find("lemon").await, [stays]);
}

#[tokio::test]
async fn an_index_that_is_missing_is_made_again() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let id = desk.put(inbox, "lemon", "").await;
    desk.indexed(id).await;
    desk.store.close().await.unwrap();
    std::fs::remove_file(desk.dir.path().join("search.db")).unwrap();

    let desk = desk.reopen().await;

    assert_eq!(desk.find("lemon").await, [id]);
    desk.indexed(id).await;
    assert_eq!(desk.find("lemon").await, [id]);
}

#[tokio::test]
async fn an_index_that_is_damaged_is_made_again() {
    for content in
        [b"not a database at all, but long enough to be read as a header".repeat(40), Vec::new()]
    {
        let desk = Desk::new();
        let inbox = desk.inbox("a").await;
        let id = desk.put(inbox, "lemon", "").await;
        desk.indexed(id).await;
        desk.store.close().await.unwrap();
        std::fs::write(desk.dir.path().join("search.db"), &content).unwrap();

        let desk = desk.reopen().await;
        desk.indexed(id).await;

        assert_eq!(desk.find("lemon").await, [id]);
    }
}

#[tokio::test]
async fn an_index_that_breaks_while_it_is_used_is_made_again() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let id = desk.put(inbox, "lemon", "").await;
    desk.indexed(id).await;
    let index = rusqlite::Connection::open(desk.dir.path().join("search.db")).unwrap();
    assert!(index.execute("delete from words_data where id > 1000", []).unwrap() > 0);

    assert_eq!(desk.find("lemon").await, [id]);

    let next = desk.put(inbox, "lemon", "").await;
    desk.indexed(next).await;
    assert_eq!(desk.find("lemon").await, [next, id]);
}

#[tokio::test]
async fn an_index_of_another_log_is_not_believed() {
    let (one, other) = (Desk::new(), Desk::new());
    let (a, b) = (one.inbox("a").await, other.inbox("b").await);
    let lemon = one.put(a, "lemon", "").await;
    let melon = other.put(b, "melon", "").await;
    one.indexed(lemon).await;
    other.indexed(melon).await;
    one.store.close().await.unwrap();
    other.store.close().await.unwrap();
    std::fs::copy(one.dir.path().join("search.db"), other.dir.path().join("search.db")).unwrap();

    let other = other.reopen().await;
    other.indexed(melon).await;

    assert_eq!(other.find("lemon").await, []);
    assert_eq!(other.find("melon").await, [melon]);
}
