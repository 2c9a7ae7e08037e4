//! Pages of records.

use domain::sync::RunError;

use super::*;

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
async fn a_list_goes_on_where_it_was_though_its_last_record_has_changed() {
    let desk = Desk::new();
    let run = desk.run(desk.sync(desk.connection(false).await, "orders").await).await;
    let records = (0..6).map(|n| record(&n.to_string(), "1")).collect();
    desk.page(run, records).await.unwrap();
    let filter = RecordFilter::default();
    let first = desk.store.records(&filter, page(2, At::Newest)).await.unwrap();

    // The last one of the first page moves to the top.
    desk.page(run, vec![record("4", "2")]).await.unwrap();
    let second =
        desk.store.records(&filter, page(2, At::Before(first.next.unwrap()))).await.unwrap();
    let newer =
        desk.store.records(&filter, page(9, At::After(first.previous.unwrap()))).await.unwrap();

    let keys = |slice: &Slice<Record, RecordId>| -> Vec<String> {
        slice.items.iter().map(|item| item.record.key.clone()).collect()
    };
    assert_eq!(keys(&first), ["5", "4"]);
    assert_eq!(keys(&second), ["3", "2"]);
    assert_eq!(keys(&newer), ["4"]);
}

#[tokio::test]
async fn records_are_found_by_their_words() {
    let desk = Desk::new();
    let connection = desk.connection(false).await;
    let run = desk.run(desk.sync(connection, "orders").await).await;
    let other = desk.run(desk.sync(connection, "customers").await).await;
    desk.page(run, vec![record("1001", r#"{"name":"M\u00fcller"}"#), record("1002", "{}")])
        .await
        .unwrap();
    desk.page(other, vec![record("c1", r#"{"name":"Muller & Co"}"#)]).await.unwrap();
    let find = async |text: &str, stream: Option<&str>| -> Vec<String> {
        let text = Some(text.to_owned());
        let filter = RecordFilter { connection: None, stream: stream.map(Into::into), text };
        let slice = desk.store.records(&filter, page(10, At::Newest)).await.unwrap();
        let count = desk.store.record_count(&filter).await.unwrap();
        assert_eq!(count.count, slice.items.len() as u64);
        slice.items.into_iter().map(|item| item.record.key).collect()
    };

    assert_eq!(find("müll", None).await, ["c1", "1001"]);
    assert_eq!(find("muller", Some("orders")).await, ["1001"]);
    assert_eq!(find("100", None).await, ["1002", "1001"]);
    assert_eq!(find("nobody", None).await, [""; 0]);
}

#[tokio::test]
async fn a_sync_has_one_run_at_work() {
    let desk = Desk::new();
    let sync = desk.sync(desk.connection(false).await, "orders").await;
    let begin = |extent| desk.store.begin_run(sync, RunTrigger::Hand, extent, Some(at(60)), at(1));

    let (first, second) = tokio::join!(begin(Extent::Changes), begin(Extent::Full));

    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    assert_eq!(desk.store.unfinished_runs().await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(desk.store.sync(sync).await.unwrap().next_run_at, Some(at(60)));

    desk.store.finish_run(first.id, RunState::Done { at: at(5) }).await.unwrap();

    let again = desk.store.finish_run(first.id, RunState::Cancelled { at: at(6) }).await;
    assert_eq!(again, Err(Error::RunEnded));
    assert_ne!(begin(Extent::Changes).await.unwrap().id, first.id);
}

#[tokio::test]
async fn a_full_run_begins_anew() {
    let desk = Desk::new();
    let sync = desk.sync(desk.connection(false).await, "orders").await;
    let run = desk.run(sync).await;
    desk.page(run, vec![record("1", "1")]).await.unwrap();
    desk.store.finish_run(run, RunState::Done { at: at(3) }).await.unwrap();
    assert!(desk.store.sync_cursor(sync).await.unwrap().is_some());

    desk.store.begin_run(sync, RunTrigger::Hand, Extent::Full, None, at(4)).await.unwrap();

    assert_eq!(desk.store.sync_cursor(sync).await.unwrap(), None);
    assert_eq!(desk.store.record_count(&RecordFilter::default()).await.unwrap().count, 1);
}

#[tokio::test]
async fn a_run_keeps_its_failure_and_its_sums() {
    let desk = Desk::new();
    let sync = desk.sync(desk.connection(false).await, "orders").await;
    let run = desk.run(sync).await;
    let mut told = SyncPage {
        records: vec![record("1", "1")],
        cursor: Some("1".into()),
        pages: 1,
        newest_at: Some(at(50)),
        expected: Some(7),
        ..SyncPage::of(run, at(2))
    };
    desk.store.commit_page(told.clone()).await.unwrap();
    (told.newest_at, told.expected) = (Some(at(40)), None);
    desk.store.commit_page(told).await.unwrap();
    let error = RunError { code: "unreachable".into(), message: "no answer".into(), hint: None };
    let failed = RunState::Failed { at: at(9), error };

    desk.store.finish_run(run, failed.clone()).await.unwrap();

    let run = desk.store.sync_run(run).await.unwrap();
    assert_eq!(run.state, failed);
    assert_eq!((run.counts.pages, run.counts.unchanged, run.expected), (2, 1, Some(7)));
    assert_eq!(desk.store.sync(sync).await.unwrap().newest_at, Some(at(50)));
    let list = desk.store.sync_runs(Some(sync), page(10, At::Newest)).await.unwrap();
    assert_eq!(list.items, [run]);
}

/// A record as the model has it.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    data: u8,
    version: Option<u8>,
    deleted: bool,
}

type Seen = (u8, u8, Option<u8>, bool);

/// What a page does to the records, told over a map.
fn apply(known: &mut BTreeMap<u8, Known>, seen: &[Seen]) -> Counts {
    let mut counts = Counts { pages: 1, ..Counts::default() };
    for &(key, data, version, deleted) in seen {
        counts.records += 1;
        let now = Known { data, version, deleted: false };
        match known.get_mut(&key) {
            Some(before) if deleted && !before.deleted => {
                before.deleted = true;
                counts.deleted += 1;
            }
            _ if deleted => counts.unchanged += 1,
            Some(before) if *before == now => counts.unchanged += 1,
            Some(before) => {
                *before = now;
                counts.changed += 1;
            }
            None => {
                known.insert(key, now);
                counts.inserted += 1;
            }
        }
    }
    counts
}

fn new_record(&(key, data, version, deleted): &Seen) -> NewRecord {
    NewRecord {
        key: key.to_string(),
        version: version.map(|version| version.to_string()),
        data: data.to_string(),
        deleted,
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn pages_do_to_the_records_what_they_do_to_a_map(
        pages in proptest::collection::vec(
            proptest::collection::vec((0..6u8, 0..3u8, proptest::option::of(0..2u8), proptest::bool::ANY), 0..8),
            1..6,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new();
            let run = desk.run(desk.sync(desk.connection(false).await, "orders").await).await;
            let mut known = BTreeMap::new();
            let mut sums = Counts::default();
            for seen in &pages {
                let expected = apply(&mut known, seen);
                let counts = desk.page(run, seen.iter().map(new_record).collect()).await.unwrap();
                assert_eq!(counts, expected);
                sums.pages += counts.pages;
                sums.records += counts.records;
                sums.inserted += counts.inserted;
                sums.changed += counts.changed;
                sums.unchanged += counts.unchanged;
                sums.deleted += counts.deleted;
                // A page that is read again changes nothing, unless it contradicts itself.
                assert_eq!(counts.records, counts.inserted + counts.changed + counts.unchanged + counts.deleted);
            }
            let list = desk.store.records(&RecordFilter::default(), page(100, At::Newest)).await.unwrap();
            let stored: BTreeMap<u8, Known> = list
                .items
                .into_iter()
                .map(|item| {
                    let NewRecord { key, version, data, deleted } = item.record;
                    let version = version.map(|version| version.parse().unwrap());
                    (key.parse().unwrap(), Known { data: data.parse().unwrap(), version, deleted })
                })
                .collect();
            assert_eq!(stored, known);
            let alive = known.values().filter(|it| !it.deleted).count() as u64;
            let count = desk.store.record_count(&RecordFilter::default()).await.unwrap();
            assert_eq!(count, Count { count: alive, exact: true });
            assert_eq!(desk.store.sync_run(run).await.unwrap().counts, sums);
        });
    }
}
