//! What drives the words of a stream beyond pages: conditions, parents, what is gone, jobs,
//! journals; and what happens where something else is asked for than before.

use std::io::Write as _;

use domain::secret::Secrets;

use super::*;

/// The note of a run.
fn note(run: &SyncRun) -> &str {
    run.note.as_deref().unwrap_or_default()
}

fn with_etag(json: &Value, headers: &[(&'static str, &'static str)]) -> Reply {
    Reply::Bytes(json.to_string().into_bytes(), headers.to_vec())
}

fn ids(ids: &[u64]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}

fn listed(ids: &[u64], next: Option<&str>) -> Reply {
    let data: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "updated_at": format!("2026-03-01T00:00:{id:02}Z") }))
        .collect();
    Reply::Json(json!({ "data": data, "next": next }))
}

impl Bench {
    async fn run_again(&self, sync: SyncId, number: usize) -> SyncRun {
        self.engine.run_sync(sync, Extent::Changes).await.unwrap();
        self.end(sync, number).await
    }

    /// Keys of what is there and of what is gone.
    async fn live_and_gone(&self) -> (Vec<String>, Vec<String>) {
        let page = Page { limit: 1_000, at: At::Newest };
        let records = self.engine.records(&RecordFilter::default(), page).await.unwrap().items;
        let (gone, live): (Vec<_>, Vec<_>) =
            records.into_iter().map(|one| one.record).partition(|one| one.deleted);
        let keys = |records: Vec<NewRecord>| {
            let mut keys: Vec<_> =
                records.into_iter().map(|one| one.key.replace('\u{1f}', "/")).collect();
            keys.sort();
            keys
        };
        (keys(live), keys(gone))
    }

    async fn asked_since(&self, before: usize) -> Vec<String> {
        self.api.asked().split_off(before)
    }

    fn conditions(&self) -> Vec<String> {
        self.api.conditions.lock().unwrap().clone()
    }

    async fn set(&self, name: &str, value: &str) {
        let store = &self.engine.inner.store;
        let mut connection = store.connection(self.connection).await.unwrap().connection;
        connection.settings.insert(name.into(), value.into());
        let (id, settings) = (self.connection, Some(connection.settings));
        self.engine.update_connection(id, None, settings, Secrets::default()).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_nothing_has_changed_is_said_and_touches_nothing() {
    let bench = Bench::start().await;
    let modified = "Mon, 02 Mar 2026 08:00:00 GMT";
    bench.api.replies([
        with_etag(&ids(&[1, 2]), &[("etag", "\"a\""), ("last-modified", modified)]),
        Reply::Status(StatusCode::NOT_MODIFIED, &[]),
        with_etag(&ids(&[2]), &[("last-modified", modified)]),
        Reply::Status(StatusCode::NOT_MODIFIED, &[]),
        with_etag(&ids(&[2]), &[("etag", "\"c\"")]),
    ]);
    let sync = bench.sync("file", None).await;
    bench.end(sync, 1).await;

    let same = bench.run_again(sync, 2).await;
    assert_eq!((code(&same), same.counts), ("done", Counts::default()));
    assert_eq!(note(&same), "Test says that nothing has changed since the last run.");
    assert_eq!(bench.live_and_gone().await.0, ["1", "2"]);

    let other = bench.run_again(sync, 3).await;
    assert_eq!((other.counts.unchanged, other.counts.deleted, note(&other)), (1, 1, ""));
    assert_eq!(code(&bench.run_again(sync, 4).await), "done");

    bench.engine.run_sync(sync, Extent::Full).await.unwrap();
    bench.end(sync, 5).await;
    let both = format!("\"a\"|{modified}");
    let one = format!("|{modified}");
    assert_eq!(bench.conditions(), ["|", &both, &both, &one, "|"]);
    assert_eq!(bench.live_and_gone().await, (vec!["2".into()], vec!["1".into()]));
}

#[tokio::test]
async fn what_takes_several_pages_is_not_asked_whether_its_first_has_changed() {
    let bench = Bench::start().await;
    let tagged = |ids: &[u64], next: Option<&str>| {
        let Reply::Json(json) = listed(ids, next) else { panic!() };
        with_etag(&json, &[("etag", "\"a\"")])
    };
    bench.api.replies([tagged(&[1], Some("b")), tagged(&[2], None), tagged(&[1], None)]);
    let sync = bench.sync("listed", None).await;
    bench.end(sync, 1).await;

    bench.run_again(sync, 2).await;
    bench.api.replies([Reply::Status(StatusCode::NOT_MODIFIED, &[])]);
    bench.run_again(sync, 3).await;

    assert_eq!(bench.conditions(), ["|", "|", "|", "\"a\"|"]);
}

#[tokio::test]
async fn nobody_says_unasked_that_nothing_has_changed() {
    let bench = Bench::start().await;
    bench.api.replies([Reply::Status(StatusCode::NOT_MODIFIED, &[])]);

    let run = bench.end(bench.sync("file", None).await, 1).await;

    assert_eq!(code(&run), "refused");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_suppliers_file_is_read_in_every_form_and_only_when_it_has_changed() {
    let csv: (&[u8], &[u8]) = (b"sku;stock\nA-1;3\nB-2;4\n", b"sku;stock\nA-1;3\n");
    let xml: (&[u8], &[u8]) = (
        b"<c><p><sku>A-1</sku><stock>3</stock></p><p><sku>B-2</sku></p></c>",
        b"<c><p><sku>A-1</sku><stock>3</stock></p></c>",
    );
    let json: (&[u8], &[u8]) = (
        br#"{"c":{"p":[{"sku":"A-1","stock":3},{"sku":"B-2"}]}}"#,
        br#"{"c":{"p":[{"sku":"A-1","stock":3}]}}"#,
    );
    let lines: (&[u8], &[u8]) = (b"{\"sku\":\"A-1\"}\n{\"sku\":\"B-2\"}\n", b"{\"sku\":\"A-1\"}\n");
    let plain = |bytes: &[u8]| bytes.to_vec();
    let zipped = |bytes: &[u8]| zip("stock.txt", bytes);
    for (kind, records, (both, one), pack) in [
        ("csv", "", csv, &plain as &dyn Fn(&[u8]) -> Vec<u8>),
        ("csv", "", csv, &gzip),
        ("zip_csv", "", csv, &zipped),
        ("xml", "c.p", xml, &plain),
        ("xml", "c.p", xml, &gzip),
        ("zip_xml", "c.p", xml, &zipped),
        ("json", "c.p", json, &gzip),
        ("zip_json", "c.p", json, &zipped),
        ("jsonl", "", lines, &gzip),
        ("zip_jsonl", "", lines, &zipped),
    ] {
        let bench = Bench::start().await;
        let settings = [
            ("url", format!("{}/stock?lang=en", bench.api.url)),
            ("kind", kind.into()),
            ("key", "sku".into()),
            ("records", records.into()),
            ("separator", ";".into()),
        ];
        let connection = NewConnection {
            connector: "feed".into(),
            name: "Supplier".into(),
            way: "none".into(),
            settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
            sandbox: false,
            state: ConnectionState::Ready,
            given_to: None,
        };
        let store = &bench.engine.inner.store;
        let connection = store.create_connection(connection, bench.clock.now()).await.unwrap().id;
        let bench = Bench { connection, ..bench };
        bench.api.replies([
            Reply::Bytes(pack(both), vec![("etag", "\"1\"")]),
            Reply::Status(StatusCode::NOT_MODIFIED, &[]),
            Reply::Bytes(pack(one), vec![("etag", "\"2\"")]),
        ]);

        let sync = bench.sync("records", None).await;
        let run = bench.end(sync, 1).await;
        assert_eq!((code(&run), run.counts.inserted), ("done", 2), "{kind}: {:?}", run.state);
        let same = bench.run_again(sync, 2).await;
        assert!(note(&same).contains("nothing has changed"), "{kind}");
        let run = bench.run_again(sync, 3).await;

        assert_eq!((run.counts.unchanged, run.counts.deleted), (1, 1), "{kind}");
        assert_eq!(bench.live_and_gone().await, (vec!["A-1".into()], vec!["B-2".into()]), "{kind}");
        assert_eq!(bench.conditions(), ["|", "\"1\"|", "\"1\"|"], "{kind}");
        assert_eq!(bench.api.asked()[2], "/stock?lang=en", "{kind}");
    }
}

#[tokio::test]
async fn another_setting_begins_anew_and_the_run_says_why() {
    let bench = Bench::start().await;
    bench.api.replies([listed(&[1], None), listed(&[1], None), listed(&[2], None)]);
    let sync = bench.sync("of_shop", None).await;
    bench.end(sync, 1).await;

    let run = bench.run_again(sync, 2).await;
    assert_eq!(run.note, None);
    bench.set("shop", "other").await;
    let run = bench.run_again(sync, 3).await;

    let since = "since=2026-03-01T00%3A00%3A01.000Z";
    assert_eq!(
        bench.api.asked(),
        ["/shops/main".into(), format!("/shops/main?{since}"), "/shops/other".into()]
    );
    assert_eq!(code(&run), "done");
    assert_eq!(
        note(&run),
        "Everything is read anew, since the setting “Shop” is another now. What was read before \
         stays."
    );
    assert_eq!(bench.live_and_gone().await.0, ["1", "2"]);
}

#[tokio::test]
async fn a_stream_is_read_for_each_parent_and_goes_on_in_the_middle() {
    let bench = Bench::start().await;
    bench.api.replies([
        page(1..=2, Some("b")),
        page(3..=4, None),
        listed(&[1], Some("x")),
        listed(&[2], None),
        listed(&[1], Some("y")),
        Reply::Held(json!({})),
    ]);
    let sync = bench.sync("lines", None).await;
    bench.api.was_asked(6).await;
    bench.until(async || (bench.live_and_gone().await.0.len() == 3).then_some(())).await;

    bench.api.replies([listed(&[2, 3], None), listed(&[1], None)]);
    let bench = bench.again().await;

    let run = bench.end(sync, 1).await;
    assert_eq!((code(&run), run.counts.inserted), ("done", 6), "{:?}", run.state);
    assert_eq!(
        bench.asked_since(2).await,
        [
            "/orders/1/lines",
            "/orders/1/lines?cursor=x",
            "/orders/2/lines",
            "/orders/2/lines?cursor=y",
            // The end of the program came here.
            "/orders/2/lines?cursor=y",
            "/orders/4/lines",
        ]
    );
    assert_eq!(bench.live_and_gone().await.0, ["1/1", "1/2", "2/1", "2/2", "2/3", "4/1"]);
}

#[tokio::test]
async fn what_changed_is_asked_for_of_each_parent_and_all_of_a_new_one() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=1, None), listed(&[5], None)]);
    let sync = bench.sync("lines", None).await;
    bench.end(sync, 1).await;
    bench.api.replies([page(1..=2, None), listed(&[], None), listed(&[1], None)]);

    bench.run_again(sync, 2).await;

    assert_eq!(
        bench.asked_since(2).await,
        [
            "/orders?limit=2",
            "/orders/1/lines?since=2026-03-01T00%3A00%3A05.000Z",
            "/orders/2/lines"
        ]
    );
    // It was asked for what changed alone, so what did not come is not gone.
    assert_eq!(bench.live_and_gone().await, (vec!["1/5".into(), "2/1".into()], vec![]));
}

#[tokio::test]
async fn only_parents_that_have_changed_are_read_for_where_the_connector_says_so() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None), listed(&[1], None), listed(&[1], None)]);
    let sync = bench.sync("notes", None).await;
    bench.end(sync, 1).await;
    let changed = json!({ "data": [
        { "id": 2, "updated_at": "2026-03-01T00:00:02Z" },
        { "id": 1, "updated_at": "2026-03-01T00:00:09Z" },
    ] });
    bench.api.replies([Reply::Json(changed), listed(&[2], None)]);

    bench.run_again(sync, 2).await;

    assert_eq!(
        bench.asked_since(3).await,
        ["/orders?limit=2&since=2026-03-01T00%3A00%3A02.000Z", "/orders/1/notes"]
    );
    assert_eq!(bench.live_and_gone().await.0, ["1/1", "1/2", "2/1"]);
}

#[tokio::test]
async fn a_parent_that_is_refused_does_not_keep_others_from_being_read() {
    let bench = Bench::start().await;
    let forbidden = || Reply::Status(StatusCode::FORBIDDEN, &[]);
    bench.api.replies([page(1..=2, None), forbidden(), listed(&[1], None)]);
    let sync = bench.sync("lines", None).await;
    let run = bench.end(sync, 1).await;
    assert_eq!(code(&run), "done");
    assert_eq!(note(&run), "Test refused 1 of orders; they are tried again with the next run.");

    bench.api.replies([page(1..=2, None), listed(&[7], None), listed(&[], None)]);
    bench.run_again(sync, 2).await;
    assert_eq!(bench.asked_since(4).await[0], "/orders/1/lines");

    bench.api.replies([page(1..=1, None), forbidden()]);
    assert_eq!(code(&bench.run_again(sync, 3).await), "forbidden");
}

#[tokio::test]
async fn a_parent_that_was_refused_is_read_for_though_it_is_not_listed_as_changed() {
    let bench = Bench::start().await;
    let forbidden = || Reply::Status(StatusCode::FORBIDDEN, &[]);
    bench.api.replies([page(1..=2, None), forbidden(), forbidden()]);
    let sync = bench.sync("notes", None).await;
    assert_eq!(code(&bench.end(sync, 1).await), "forbidden");

    bench.api.replies([listed(&[], None), forbidden(), listed(&[2], None)]);
    let second = bench.run_again(sync, 2).await;
    assert_eq!((code(&second), second.counts.inserted), ("done", 1));
    assert_eq!(note(&second), "Test refused 1 of orders; they are tried again with the next run.");

    // One parent that refuses for good does not make a failure of every run.
    bench.api.replies([listed(&[], None), forbidden()]);
    assert_eq!(code(&bench.run_again(sync, 3).await), "done");

    bench.api.replies([listed(&[], None), listed(&[1], None)]);
    let last = bench.run_again(sync, 4).await;
    assert_eq!((code(&last), note(&last)), ("done", ""));
    let asked = bench.asked_since(3).await;
    let children: Vec<_> = asked.iter().filter(|path| path.ends_with("/notes")).collect();
    assert_eq!(
        children,
        ["/orders/1/notes", "/orders/2/notes", "/orders/1/notes", "/orders/1/notes"]
    );
    assert_eq!(bench.live_and_gone().await.0, ["1/1", "2/2"]);
}

#[tokio::test]
async fn a_full_reading_of_all_parents_finds_what_is_gone() {
    let bench = Bench::start().await;
    bench.api.replies([page(1..=2, None), listed(&[1, 2], None), listed(&[3], None)]);
    let sync = bench.sync("lines", None).await;
    bench.end(sync, 1).await;
    bench.api.replies([page(1..=2, None), listed(&[2], None), listed(&[3], None)]);

    bench.engine.run_sync(sync, Extent::Full).await.unwrap();

    assert_eq!(bench.end(sync, 2).await.counts.deleted, 1);
    assert_eq!(bench.live_and_gone().await, (vec!["1/2".into(), "2/3".into()], vec!["1/1".into()]));
}

#[tokio::test]
async fn the_list_of_what_is_gone_is_read_after_what_is_there() {
    let bench = Bench::start().await;
    bench.api.replies([listed(&[1, 2, 3], None), listed(&[], None)]);
    let sync = bench.sync("people", None).await;
    bench.end(sync, 1).await;
    bench.api.replies([listed(&[], None), listed(&[9], Some("b")), listed(&[2], None)]);

    let run = bench.run_again(sync, 2).await;

    assert_eq!((code(&run), run.counts.deleted), ("done", 1));
    assert_eq!(
        bench.asked_since(2).await,
        ["/people?since=2026-03-01T00%3A00%3A03.000Z", "/removed", "/removed?cursor=b"]
    );
    assert_eq!(bench.live_and_gone().await, (vec!["1".into(), "3".into()], vec!["2".into()]));
}

#[tokio::test]
async fn a_full_reading_that_is_cut_short_deletes_nothing_until_it_is_whole() {
    let bench = Bench::start().await;
    bench.api.replies([listed(&[1, 2], Some("b")), listed(&[3], None)]);
    let sync = bench.sync("swept", None).await;
    bench.end(sync, 1).await;
    bench.api.replies([listed(&[2], Some("b")), Reply::Status(StatusCode::FORBIDDEN, &[])]);

    assert_eq!(code(&bench.run_again(sync, 2).await), "forbidden");
    assert_eq!(bench.live_and_gone().await.0, ["1", "2", "3"]);

    bench.api.replies([Reply::Held(json!({}))]);
    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    bench.api.was_asked(5).await;
    bench.api.replies([listed(&[3], None)]);
    let bench = bench.again().await;
    let run = bench.end(sync, 3).await;
    assert_eq!((code(&run), run.counts.deleted), ("done", 1));
    assert_eq!(bench.asked_since(4).await, ["/swept?cursor=b", "/swept?cursor=b"]);
    assert_eq!(bench.live_and_gone().await, (vec!["2".into(), "3".into()], vec!["1".into()]));
}

#[tokio::test]
async fn a_full_reading_without_any_record_is_not_believed_unless_it_is_asked_for() {
    let bench = Bench::start().await;
    bench.api.replies([with_etag(&ids(&[1]), &[("etag", "\"1\"")])]);
    let sync = bench.sync("file", None).await;
    bench.end(sync, 1).await;
    bench.api.replies([
        with_etag(&json!([]), &[("etag", "\"2\"")]),
        with_etag(&json!([]), &[("etag", "\"2\"")]),
        with_etag(&json!([]), &[("etag", "\"2\"")]),
    ]);

    assert_eq!(code(&bench.run_again(sync, 2).await), "emptied");
    assert_eq!(code(&bench.run_again(sync, 3).await), "emptied");
    assert_eq!(bench.live_and_gone().await.0, ["1"]);

    bench.engine.run_sync(sync, Extent::Full).await.unwrap();
    assert_eq!(bench.end(sync, 4).await.counts.deleted, 1);
    assert_eq!(bench.conditions(), ["|", "\"1\"|", "|", "|"]);
}

#[tokio::test]
async fn a_large_page_is_written_whole_and_its_sweep_in_steps() {
    let bench = Bench::start().await;
    let many: Vec<u64> = (1..=2_500).collect();
    bench.api.replies([listed(&many, None), listed(&[7], None)]);
    let sync = bench.sync("swept", None).await;

    let run = bench.end(sync, 1).await;
    assert_eq!(
        run.counts,
        Counts { pages: 1, records: 2_500, inserted: 2_500, ..Counts::default() }
    );
    assert_eq!(bench.run_again(sync, 2).await.counts.deleted, 2_499);
}

fn job(state: &str, urls: &[String]) -> Reply {
    Reply::Json(json!({ "id": 9, "state": state, "urls": urls, "why": "no room" }))
}

fn csv(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec(), vec![("content-type", "text/csv")])
}

#[tokio::test]
async fn a_job_is_made_once_asked_after_and_its_files_are_read() {
    let bench = Bench::start().await;
    let files = [format!("{}/f/1", bench.api.url), format!("{}/f/2", bench.api.url)];
    bench.api.replies([job("new", &[]), job("new", &[])]);
    let sync = bench.sync("export", None).await;
    let (why, until) = bench
        .until(async || match bench.state(sync).await {
            SyncState::Waiting { why, until } => Some((why, until)),
            _ => None,
        })
        .await;
    assert_eq!(why, "Test is making the file");
    assert_eq!(until, Some(bench.clock.now() + SignedDuration::from_secs(30)));

    // The end of the program while it is made, and again between its files.
    bench.api.replies([job("done", &files), csv("id\nA\n"), Reply::Held(json!({}))]);
    let bench = bench.again().await;
    bench.api.was_asked(5).await;
    bench.until(async || (bench.live_and_gone().await.0.len() == 1).then_some(())).await;
    bench.api.replies([job("done", &files), csv("id\nB\n")]);
    let bench = bench.again().await;

    let run = bench.end(sync, 1).await;
    assert_eq!((code(&run), run.counts.inserted), ("done", 2), "{:?}", run.state);
    assert_eq!(
        bench.api.asked(),
        ["POST /jobs {\"what\":\"all\"}", "/jobs/9", "/jobs/9", "/f/1", "/f/2", "/jobs/9", "/f/2"]
    );

    bench.api.replies([job("new", &[]), job("done", &files[..1]), csv("id\nB\n")]);
    let run = bench.run_again(sync, 2).await;
    assert_eq!((run.counts.deleted, run.counts.unchanged), (1, 1));
    assert_eq!(bench.live_and_gone().await, (vec!["B".into()], vec!["A".into()]));
}

#[tokio::test]
async fn a_cancelled_run_ends_its_job() {
    let bench = Bench::start().await;
    bench.api.replies([job("new", &[]), job("new", &[]), Reply::Json(json!({}))]);
    let sync = bench.sync("export", None).await;
    bench
        .until(async || matches!(bench.state(sync).await, SyncState::Waiting { .. }).then_some(()))
        .await;
    let run = bench.engine.sync(sync).await.unwrap().runs[0].id;

    bench.engine.cancel_run(run).await.unwrap();

    bench.api.was_asked(3).await;
    assert_eq!(bench.api.asked()[2], "DELETE /jobs/9");
    // What was left of it has come to nothing: the next run has another made.
    bench.api.replies([job("failed", &[]), job("new", &[]), job("done", &[])]);
    assert_eq!(code(&bench.run_again(sync, 2).await), "done");
    assert_eq!(bench.asked_since(3).await[..2], ["/jobs/9", "POST /jobs {\"what\":\"all\"}"]);
}

#[tokio::test]
async fn a_job_that_fails_or_takes_too_long_is_a_failure_and_the_next_run_makes_another() {
    let bench = Bench::start().await;
    bench.api.replies([job("new", &[]), job("failed", &[])]);
    let sync = bench.sync("export", None).await;
    let run = bench.end(sync, 1).await;
    let RunState::Failed { error, .. } = &run.state else { panic!("{:?}", run.state) };
    assert_eq!(error.message, "the file could not be made: no room");

    bench.api.replies([job("new", &[]), job("new", &[]), job("new", &[])]);
    bench.engine.run_sync(sync, Extent::Changes).await.unwrap();
    bench.api.was_asked(4).await;
    bench.clock.advance(2 * 3_600);
    assert_eq!(code(&bench.end(sync, 2).await), "timed_out");
    assert_eq!(bench.api.asked()[2], "POST /jobs {\"what\":\"all\"}");
}

#[tokio::test]
async fn a_job_is_asked_for_what_changed_and_its_results_are_pages() {
    let bench = Bench::start().await;
    let made = || Reply::Json(json!({ "id": "j" }));
    let done = || Reply::Json(json!({ "state": "done" }));
    bench.api.replies([made(), done(), listed(&[1], Some("b")), listed(&[2], None)]);
    let sync = bench.sync("results", None).await;
    bench.end(sync, 1).await;
    bench.api.replies([made(), done(), listed(&[], None)]);

    assert_eq!(code(&bench.run_again(sync, 2).await), "done");

    assert_eq!(
        bench.api.asked(),
        [
            "POST /jobs {}",
            "/jobs/j",
            "/jobs/j/results",
            "/jobs/j/results?cursor=b",
            "POST /jobs {\"since\":\"2026-03-01T00:00:02.000Z\"}",
            "/jobs/j",
            "/jobs/j/results"
        ]
    );
    assert_eq!(bench.live_and_gone().await.0, ["1", "2"]);
}

#[tokio::test]
async fn a_journal_is_read_from_where_it_was_left() {
    let bench = Bench::start().await;
    let entry = |offset: &str, file: &str| {
        Reply::Json(json!({ "offset": offset, "url": format!("{}{file}", bench.api.url) }))
    };
    let nothing = || Reply::Status(StatusCode::NO_CONTENT, &[]);
    let file = |numbers: &[u64]| Reply::Json(ids(numbers));
    bench.api.replies([
        entry("o1", "/f/1"),
        file(&[1, 2]),
        entry("o2", "/f/2"),
        Reply::Held(json!([])),
    ]);
    let sync = bench.sync("history", None).await;
    bench.api.was_asked(4).await;
    bench.until(async || (bench.live_and_gone().await.0.len() == 2).then_some(())).await;
    bench.api.replies([entry("o2", "/f/2"), file(&[3]), nothing()]);
    let bench = bench.again().await;
    let run = bench.end(sync, 1).await;
    assert_eq!((code(&run), run.counts.inserted), ("done", 3), "{:?}", run.state);

    let entry = |offset: &str, file: &str| {
        Reply::Json(json!({ "offset": offset, "url": format!("{}{file}", bench.api.url) }))
    };
    bench.api.replies([nothing()]);
    bench.run_again(sync, 2).await;
    bench.api.replies([
        Reply::Status(StatusCode::NOT_FOUND, &[]),
        entry("o7", "/f/7"),
        file(&[7]),
        nothing(),
    ]);
    let run = bench.run_again(sync, 3).await;

    assert!(note(&run).contains("something may be missing"), "{}", note(&run));
    assert_eq!(
        bench.api.asked(),
        [
            "/journal",
            "/f/1",
            "/journal/o1",
            "/f/2",
            "/journal/o1",
            "/f/2",
            "/journal/o2",
            "/journal/o2",
            "/journal/o2",
            "/journal",
            "/f/7",
            "/journal/o7"
        ]
    );
    assert_eq!(bench.live_and_gone().await.0, ["1", "2", "3", "7"]);

    bench.api.replies([entry("o7", "/f/7")]);
    assert_eq!(code(&bench.run_again(sync, 4).await), "endless");
}
