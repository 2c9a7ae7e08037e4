mod kinds;

use super::*;
use proptest::prelude::*;
use serde_json::json;

use crate::connector::CursorFormat;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn stream(page: &str) -> Stream {
    let text = format!(
        "get: /things\nquery: {{ limit: '2' }}\nrecords: .data\nkey: .id\nversion: .v\n\
         deleted: .gone\ntotal: .total\n{page}\n\
         since: {{ param: updated_since, field: .at, overlap: 2m, granularity: second }}\n"
    );
    serde_saphyr::from_str(&text).unwrap()
}

fn ask(stream: &Stream, cursor: &Cursor) -> String {
    match request(stream, cursor, &json!({ "settings": {} })).unwrap() {
        PageRequest::Url { url, .. } => url,
        PageRequest::Ask(asked) => {
            let query: Vec<_> =
                asked.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}?{}", asked.path, query.join("&"))
        }
    }
}

fn answer(stream: &Stream, cursor: &Cursor, body: &Value) -> Result<PageRead, Error> {
    let link = body.get("link").and_then(Value::as_str);
    come(stream, cursor, body.to_string().as_bytes(), link)
}

fn come(
    stream: &Stream,
    cursor: &Cursor,
    body: &[u8],
    link: Option<&str>,
) -> Result<PageRead, Error> {
    let asked = match &cursor.position {
        Position::Url(url) => url.clone(),
        _ => "https://shop.example/things".parse().unwrap(),
    };
    let headers: Vec<_> = link.iter().map(|link| ("link", *link)).collect();
    let answer = Answer { body, headers: &headers, sent_at: None, asked: &asked };
    let read = read(stream, cursor, answer, &json!({}), now());
    // A path that is not plain gives the same by way of values.
    let mut slow = stream.clone();
    slow.records = Expression::compile(&format!("{}|.", stream.records.text())).unwrap();
    slow.key = vec![Expression::compile(".id|.").unwrap()];
    if let (Ok(fast), Ok(slow)) = (&read, super::read(&slow, cursor, answer, &json!({}), now())) {
        assert_eq!(&slow, fast);
    }
    read
}

/// Reads until the pages end, and says what was asked for each time.
fn run(stream: &Stream, cursor: Cursor, answers: &[Value]) -> (Vec<String>, Cursor) {
    let (mut asked, mut cursor, mut answers) = (Vec::new(), cursor, answers.iter());
    loop {
        asked.push(ask(stream, &cursor));
        // What is stored between two pages is the JSON text.
        let stored = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&stored).unwrap(), cursor);
        let page = answer(stream, &cursor, answers.next().expect("one more page")).unwrap();
        cursor = page.cursor;
        if page.done {
            assert!(answers.next().is_none(), "it ended early");
            return (asked, cursor);
        }
    }
}

fn things(ids: &[u64]) -> Vec<Value> {
    ids.iter().map(|id| json!({ "id": id, "at": format!("2026-11-24T10:00:{id:02}Z") })).collect()
}

#[test]
fn a_cursor_is_followed_until_there_is_none() {
    for end in [json!(null), json!(""), json!("null")] {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let (asked, _) = run(
            &stream,
            Cursor::default(),
            &[
                json!({ "data": things(&[1, 2]), "next": "abc" }),
                json!({ "data": things(&[3]), "next": end }),
            ],
        );
        assert_eq!(asked, ["/things?limit=2", "/things?limit=2&cursor=abc"]);
    }
}

#[test]
fn pages_are_counted_up_to_the_last() {
    let stream = stream("page: { page: { param: page, pages: .pages } }");
    let (asked, _) = run(
        &stream,
        Cursor::default(),
        &[
            json!({ "data": things(&[1, 2]), "pages": 2 }),
            json!({ "data": things(&[3]), "pages": 2 }),
        ],
    );
    assert_eq!(asked, ["/things?limit=2&page=1", "/things?limit=2&page=2"]);
}

#[test]
fn an_empty_answer_ends_pages_that_nobody_counts() {
    let stream = stream("page: { page: { param: page } }");
    let (asked, _) = run(
        &stream,
        Cursor::default(),
        &[json!({ "data": things(&[1, 2]) }), json!({ "data": [] })],
    );
    assert_eq!(asked.len(), 2);
}

#[test]
fn offsets_and_keys_of_last_records_lead_on() {
    let answers = [
        json!({ "data": things(&[1, 2]) }),
        json!({ "data": things(&[3]) }),
        json!({ "data": [] }),
    ];
    let (asked, _) = run(&stream("page: { offset: { param: skip } }"), Cursor::default(), &answers);
    assert_eq!(asked, ["/things?limit=2", "/things?limit=2&skip=2", "/things?limit=2&skip=3"]);

    let (asked, _) =
        run(&stream("page: { keyset: { param: after, field: .id } }"), Cursor::default(), &answers);
    assert_eq!(asked, ["/things?limit=2", "/things?limit=2&after=2", "/things?limit=2&after=3"]);
}

#[test]
fn the_whole_address_of_the_next_page_is_taken_as_it_is() {
    let stream = stream("page: { next_url: .next }");
    let (asked, _) = run(
        &stream,
        Cursor::default(),
        &[json!({ "data": things(&[1]), "next": "/things?p=2" }), json!({ "data": things(&[2]) })],
    );
    assert_eq!(asked[1], "https://shop.example/things?p=2");
}

#[test]
fn the_next_link_is_found_among_others() {
    let next = |text| next_link(text);
    assert_eq!(
        next(r#"<https://a.example/?p=1>; rel="prev", <https://a.example/?p=3,4>; rel="next""#)
            .as_deref(),
        Some("https://a.example/?p=3,4")
    );
    assert_eq!(next("</p2>; title=x; rel=next").as_deref(), Some("/p2"));
    assert_eq!(next(r#"</p2>; rel="last next""#).as_deref(), Some("/p2"));
    for none in ["", "<", "</p>; rel=prev", "rel=next", "</p2>; relation=next"] {
        assert_eq!(next(none), None, "{none}");
    }
}

#[test]
fn the_next_run_begins_before_the_newest_time_that_was_seen() {
    let stream = stream("page: { cursor: { param: cursor, at: .next } }");
    let (_, cursor) = run(
        &stream,
        Cursor::default(),
        &[
            json!({ "data": [{ "id": 1, "at": "2026-11-24T10:05:09.900Z" }], "next": "b" }),
            json!({ "data": things(&[2]) }),
        ],
    );

    assert!(cursor.is_between_runs());
    assert_eq!(ask(&stream, &cursor), "/things?limit=2&updated_since=2026-11-24T10:03:09.000Z");
}

#[test]
fn a_run_without_news_keeps_the_time_of_the_last() {
    let stream = stream("page: { cursor: { param: cursor, at: .next } }");
    let (_, first) = run(&stream, Cursor::default(), &[json!({ "data": things(&[1]) })]);
    let (_, second) = run(&stream, first.clone(), &[json!({ "data": [] })]);

    assert_eq!(first, second);
}

#[test]
fn numbers_and_unknown_fields_stay_as_they_were_written() {
    let stream = stream("");
    let body =
        br#"{"data":[{"id":9007199254740993,"price":19.90,"v":1.0,"new":{"x":[]},"gone":true}]}"#;

    let page = come(&stream, &Cursor::default(), body, None).unwrap();

    assert_eq!(
        page.records,
        [NewRecord {
            key: "9007199254740993".into(),
            version: Some("1.0".into()),
            data: r#"{"id":9007199254740993,"price":19.90,"v":1.0,"new":{"x":[]},"gone":true}"#
                .into(),
            deleted: true,
        }]
    );
}

#[test]
fn a_position_that_does_not_advance_is_not_followed() {
    let stream = stream("page: { cursor: { param: cursor, at: .next } }");
    let first =
        answer(&stream, &Cursor::default(), &json!({ "data": things(&[1]), "next": "a" })).unwrap();

    let stuck = answer(&stream, &first.cursor, &json!({ "data": things(&[2]), "next": "a" }));

    assert_eq!(stuck, Err(Error::Stuck));
}

#[test]
fn pages_that_go_round_in_a_circle_are_noticed() {
    let stream = stream("page: { cursor: { param: cursor, at: .next } }");
    let mut cursor = Cursor::default();
    let mut pages = 0;

    let end = loop {
        let next = ["a", "b", "c"][pages % 3];
        let body = json!({ "data": things(&[pages as u64]), "next": next });
        match answer(&stream, &cursor, &body) {
            Ok(page) => cursor = page.cursor,
            Err(error) => break error,
        }
        pages += 1;
    };

    assert_eq!(end, Error::Circle);
    assert!(pages < 12, "{pages}");
}

#[test]
fn a_next_address_on_another_host_is_not_followed() {
    let stream = stream("page: { next_url: .next }");
    for elsewhere in [
        "https://evil.example/things?p=2",
        "//evil.example/things",
        "http://shop.example/things?p=2",
        "https://shop.example:444/things",
        "https://user@shop.example/things",
    ] {
        let body = json!({ "data": things(&[1]), "next": elsewhere });
        let read = answer(&stream, &Cursor::default(), &body);
        assert!(matches!(read, Err(Error::OtherHost(_))), "{elsewhere}");
    }
    let itself = json!({ "data": things(&[1]), "next": "/things" });
    assert_eq!(answer(&stream, &Cursor::default(), &itself), Err(Error::Stuck));
}

#[test]
fn what_is_no_data_says_what_it_is() {
    let stream = stream("");
    let check = |body: &str| come(&stream, &Cursor::default(), body.as_bytes(), None);

    assert_eq!(check("\n <!doctype html><p>Sign in</p>"), Err(Error::WebPage));
    for broken in ["", "{\"data\":[{\"id\":1}", "{\"data\":[]} {}", "{\"data\":[nul]}"] {
        assert!(matches!(check(broken), Err(Error::Json(json::Error::Syntax(_)))), "{broken}");
    }
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(300), "]".repeat(300));
    assert_eq!(check(&deep), Err(Error::Json(json::Error::TooDeep)));
    assert!(check("\u{feff}{\"data\":[{\"id\":1}]}").is_ok());
}

#[test]
fn what_changed_while_pages_were_read_is_asked_for_again() {
    let stream = stream("page: { cursor: { param: cursor, at: .next } }");
    let asked = "https://shop.example/things".parse().unwrap();
    let sent_at = Some("2026-11-24T10:00:03Z".parse().unwrap());
    let read = |cursor: &Cursor, body: &Value| {
        let body = body.to_string();
        let answer = Answer { body: body.as_bytes(), headers: &[], sent_at, asked: &asked };
        super::read(&stream, cursor, answer, &json!({}), now()).unwrap()
    };

    let first = read(&Cursor::default(), &json!({ "data": things(&[1]), "next": "b" }));
    let last = read(&first.cursor, &json!({ "data": things(&[9]) }));

    assert_eq!(last.newest_at, read_time("2026-11-24T10:00:09Z", &CursorFormat::Rfc3339));
    assert_eq!(last.cursor.since.unwrap().time(), sent_at);
}

#[test]
fn pages_are_gone_on_with_for_a_day_and_in_the_same_way() {
    let first = stream("page: { cursor: { param: cursor, at: .next } }");
    let page = answer(&first, &Cursor::default(), &json!({ "data": things(&[1]), "next": "b" }));
    let cursor = page.unwrap().cursor;
    let day = SignedDuration::from_hours(24);

    assert_eq!(cursor.clone().go_on(&first, now() + day), cursor);
    let second = SignedDuration::from_secs(1);
    assert!(cursor.clone().go_on(&first, now() + day + second).is_between_runs());
    let other = stream("page: { page: { param: page } }");
    assert!(cursor.go_on(&other, now()).is_between_runs());
}

#[test]
fn a_page_that_comes_again_is_not_taken_for_news() {
    let stream = stream("page: { page: { param: page } }");
    let same = json!({ "data": things(&[1, 2]) });
    let first = answer(&stream, &Cursor::default(), &same).unwrap();

    assert_eq!(answer(&stream, &first.cursor, &same), Err(Error::Repeated));
}

#[test]
fn pages_without_an_end_are_a_fault() {
    let stream = stream("page: { page: { param: page } }");
    let at = |pages| Cursor { pages, position: Position::Page(pages), ..Cursor::default() };
    let page = json!({ "data": things(&[1]) });

    assert!(answer(&stream, &at(MAX_PAGES - 2), &page).is_ok());
    assert_eq!(answer(&stream, &at(MAX_PAGES - 1), &page), Err(Error::Endless));
}

#[test]
fn pages_without_a_record_come_to_an_end() {
    let stream = stream("page: { cursor: { param: c, at: .next } }");
    let page = |number: u64, data: Value| json!({ "data": data, "next": format!("c{number}") });
    let mut cursor = Cursor::default();
    for number in 0..MAX_EMPTY {
        let read = answer(&stream, &cursor, &page(number, json!([]))).unwrap();
        assert!(!read.done, "{number}");
        cursor = read.cursor;
    }

    let one_more = page(MAX_EMPTY, json!([]));
    assert_eq!(answer(&stream, &cursor, &one_more), Err(Error::Empty));
    let found = answer(&stream, &cursor, &page(MAX_EMPTY, json!(things(&[1])))).unwrap();
    assert!(answer(&stream, &found.cursor, &page(MAX_EMPTY + 1, json!([]))).is_ok());
}

#[test]
fn an_answer_without_records_or_keys_says_so() {
    let stream = stream("");
    let check = |body: Value| answer(&stream, &Cursor::default(), &body);

    assert_eq!(check(json!({ "error": "no" })), Err(Error::NoRecords(".data".into())));
    for bad in [json!({}), json!({ "id": null }), json!({ "id": "" }), json!({ "id": [1] })] {
        let page = json!({ "data": [{ "id": 1 }, bad] });
        assert_eq!(check(page), Err(Error::NoKey { number: 2, key: ".id".into() }));
    }
    assert!(matches!(check(json!([])), Err(Error::Expression(_))));
}

proptest! {
    #[test]
    fn a_run_that_stops_anywhere_reads_each_record_once(pages in proptest::collection::vec(1usize..4, 1..8)) {
        let stream = stream("page: { cursor: { param: cursor, at: .next } }");
        let (mut id, mut cursor, mut seen) = (0u64, Cursor::default(), Vec::new());
        for (place, size) in pages.iter().enumerate() {
            let ids: Vec<u64> = (0..*size).map(|_| { id += 1; id }).collect();
            let next = (place + 1 < pages.len()).then(|| format!("p{place}"));
            let page = answer(&stream, &cursor, &json!({ "data": things(&ids), "next": next })).unwrap();
            seen.extend(page.records.iter().map(|record| record.key.clone()));
            cursor = serde_json::from_str(&serde_json::to_string(&page.cursor).unwrap()).unwrap();
            prop_assert_eq!(page.done, next.is_none());
        }
        let all: Vec<String> = (1..=id).map(|id| id.to_string()).collect();
        prop_assert_eq!(seen, all);
        prop_assert!(cursor.is_between_runs());
    }
}
