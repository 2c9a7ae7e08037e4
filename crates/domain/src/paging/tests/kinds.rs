//! The kinds of paging, each played from the first page of a run to the first of the next.

use super::*;

/// A stream from the whole of its text.
fn whole(text: &str) -> Stream {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Plays a run: each answer with its headers, until it is done. What was asked for each time.
fn play(
    stream: &Stream,
    from: Cursor,
    answers: &[(Value, &[(&str, &str)])],
) -> (Vec<String>, Cursor) {
    let mut cursor = from.go_on(stream, now());
    let mut asked = Vec::new();
    for (number, (body, headers)) in answers.iter().enumerate() {
        asked.push(asks(stream, &cursor));
        let url: Url = match &cursor.position {
            Position::Url(url) => url.clone(),
            _ => "https://shop.example/things".parse().unwrap(),
        };
        let body = body.to_string();
        let answer = Answer { body: body.as_bytes(), headers, sent_at: None, asked: &url };
        let read = read(stream, &cursor, answer, &json!({}), now()).unwrap();
        // What is stored between two pages is all that is known of them.
        cursor = serde_json::from_str(&serde_json::to_string(&read.cursor).unwrap()).unwrap();
        assert_eq!(read.done, number + 1 == answers.len(), "page {}", number + 1);
    }
    (asked, cursor)
}

/// Path, query and body of what is asked for.
fn asks(stream: &Stream, cursor: &Cursor) -> String {
    match request(stream, cursor, &json!({ "settings": {} })).unwrap() {
        PageRequest::Url { url, .. } => url,
        PageRequest::Ask(asked) => {
            let query: Vec<_> = asked.query.iter().map(|(a, b)| format!("{a}={b}")).collect();
            let body = match &asked.content {
                Some(crate::connector::Content::Json(json)) => format!(" {json}"),
                Some(crate::connector::Content::Form(form)) => format!(" {form:?}"),
                _ => String::new(),
            };
            format!("{}?{}{body}", asked.path, query.join("&"))
        }
    }
}

const NO_HEADERS: &[(&str, &str)] = &[];

#[test]
fn a_cursor_goes_into_the_body_beside_all_filters() {
    let stream = whole(
        "post: /search\njson: { limit: 2 }\nrecords: .data\nkey: .id\n\
         page: { cursor: { body: pagination.starting_after, at: .next } }\n\
         since: { body: query.value, as: epoch_seconds, field: .at, begin: '1700000000' }\n",
    );

    let (asked, cursor) = play(
        &stream,
        Cursor::default(),
        &[
            (json!({ "data": [{ "id": 1, "at": 1700000100 }], "next": "b" }), NO_HEADERS),
            (json!({ "data": [{ "id": 2, "at": 1700000200 }], "next": null }), NO_HEADERS),
        ],
    );

    assert_eq!(
        asked,
        [
            r#"/search? {"limit":2,"query":{"value":1700000000}}"#,
            r#"/search? {"limit":2,"query":{"value":1700000000},"pagination":{"starting_after":"b"}}"#,
        ]
    );
    assert_eq!(
        asks(&stream, &cursor.go_on(&stream, now())),
        r#"/search? {"limit":2,"query":{"value":1700000200}}"#
    );
}

#[test]
fn a_list_of_the_last_record_stays_a_list() {
    let stream = whole(
        "post: /search\njson: { pageLimit: 1 }\nrecords: .data\nkey: .id\n\
         page: { keyset: { body: searchAfter, field: .searchAfter, size: 1 } }\n",
    );

    let (asked, _) = play(
        &stream,
        Cursor::default(),
        &[
            (
                json!({ "data": [{ "id": "a", "searchAfter": [1700000000000_u64, "a"] }] }),
                NO_HEADERS,
            ),
            (json!({ "data": [] }), NO_HEADERS),
        ],
    );

    assert_eq!(asked[1], r#"/search? {"pageLimit":1,"searchAfter":[1700000000000,"a"]}"#);
}

#[test]
fn relay_goes_on_while_there_is_a_next_page() {
    let stream = whole(
        "graphql: 'query($after: String) { x }'\nvariables: { first: 2 }\n\
         records: .data.orders.nodes\nkey: .id\npage: { relay: .data.orders.pageInfo }\n\
         since: { variable: query, text: \"updated_at:>='{{ cursor }}'\", field: .at, overlap: 2m }\n",
    );
    let page = |id: u32, more: bool, end: Option<&str>| {
        let info = json!({ "hasNextPage": more, "endCursor": end });
        let nodes = json!([{ "id": id, "at": "2026-11-24T10:00:00Z" }]);
        (json!({ "data": { "orders": { "nodes": nodes, "pageInfo": info } } }), NO_HEADERS)
    };

    let (asked, cursor) =
        play(&stream, Cursor::default(), &[page(1, true, Some("e1")), page(2, false, Some("e2"))]);

    let variables = |asked: &str| {
        let body: Value = serde_json::from_str(asked.split_once(' ').unwrap().1).unwrap();
        body["variables"].clone()
    };
    assert_eq!(variables(&asked[0]), json!({ "first": 2 }));
    assert_eq!(variables(&asked[1]), json!({ "first": 2, "after": "e1" }));
    let then = asks(&stream, &cursor.go_on(&stream, now()));
    assert_eq!(
        variables(&then),
        json!({ "first": 2, "query": "updated_at:>='2026-11-24T09:58:00.000Z'" })
    );
}

#[test]
fn a_version_is_where_the_next_page_and_the_next_run_begin() {
    let stream = whole(
        "get: /products\nrecords: .data\nkey: .id\ndeleted: .deleted_at != null\n\
         page: { version: { param: after, at: .version.max, from: '0' } }\n",
    );
    let page = |ids: &[u64], max: Value| {
        (json!({ "data": things(ids), "version": { "max": max } }), NO_HEADERS)
    };

    let (asked, cursor) = play(
        &stream,
        Cursor::default(),
        &[
            page(&[1, 2], json!(9007199254740993_u64)),
            page(&[3], json!(9007199254740999_u64)),
            page(&[], json!(0)),
        ],
    );

    assert_eq!(
        asked,
        [
            "/products?after=0",
            "/products?after=9007199254740993",
            "/products?after=9007199254740999"
        ]
    );
    assert_eq!(asks(&stream, &cursor.go_on(&stream, now())), "/products?after=9007199254740999");
}

#[test]
fn an_export_goes_on_later_with_the_cursor_of_its_end() {
    let stream = whole(
        "get: /export\nquery: { include: count }\nrecords: .tickets\nkey: .id\n\
         page: { export: { param: cursor, at: .after_cursor, end: .end_of_stream } }\n\
         since: { param: start_time, as: epoch_seconds, field: .at, begin: '1' }\n",
    );
    let page = |id: u64, after: &str, end: bool| {
        (
            json!({ "tickets": things(&[id]), "after_cursor": after, "end_of_stream": end }),
            NO_HEADERS,
        )
    };

    let (asked, cursor) =
        play(&stream, Cursor::default(), &[page(1, "a", false), page(2, "b", true)]);

    assert_eq!(asked, ["/export?include=count&start_time=1", "/export?include=count&cursor=a"]);
    assert_eq!(asks(&stream, &cursor.go_on(&stream, now())), "/export?include=count&cursor=b");
}

#[test]
fn a_header_may_hold_the_cursor_or_the_number_of_pages() {
    let locator = whole(
        "get: /results\nrecords: .data\nkey: .id\n\
         page: { header_locator: { header: Sforce-Locator, param: locator } }\n",
    );
    let (asked, _) = play(
        &locator,
        Cursor::default(),
        &[
            (json!({ "data": things(&[1]) }), &[("sforce-locator", "MTAw")]),
            (json!({ "data": things(&[2]) }), &[("sforce-locator", "null")]),
        ],
    );
    assert_eq!(asked, ["/results?", "/results?locator=MTAw"]);

    let counted = whole(
        "get: /orders\nrecords: .\nkey: .id\n\
         page: { page: { param: page, pages_header: x-wp-totalpages } }\n",
    );
    let (asked, _) = play(
        &counted,
        Cursor::default(),
        &[
            (json!(things(&[1])), &[("x-wp-totalpages", "2")]),
            (json!(things(&[2])), &[("x-wp-totalpages", "2")]),
        ],
    );
    assert_eq!(asked, ["/orders?page=1", "/orders?page=2"]);
}

#[test]
fn a_page_with_fewer_records_is_the_last_and_one_that_is_exactly_full_is_not() {
    let stream =
        whole("get: /c\nrecords: .data\nkey: .id\npage: { page: { param: page, size: 2 } }\n");
    let page = |ids: &[u64]| (json!({ "data": things(ids) }), NO_HEADERS);

    play(&stream, Cursor::default(), &[page(&[1, 2]), page(&[3])]);
    play(&stream, Cursor::default(), &[page(&[1, 2]), page(&[])]);
}

#[test]
fn a_next_page_that_is_always_named_ends_when_it_is_empty() {
    let stream = whole(
        "get: /events\nrecords: .items\nkey: .id\n\
         page: { next_url: { at: .paging.next, until_empty: true } }\n",
    );
    let page = |ids: &[u64], next: &str| {
        (json!({ "items": things(ids), "paging": { "next": next } }), NO_HEADERS)
    };

    let (asked, _) = play(
        &stream,
        Cursor::default(),
        &[page(&[1], "https://shop.example/e/2"), page(&[], "/e/3")],
    );

    assert_eq!(asked[1], "https://shop.example/e/2");
}

#[test]
fn a_list_of_one_is_an_object_and_one_of_none_is_not_there() {
    let stream = whole(
        "get: /Sale.json\nrecords: .Sale\nmay_be_missing: true\nkey: .saleID\n\
         page: { next_url: '.[\"@attributes\"].next' }\n",
    );
    let read = |body: Value| answer(&stream, &Cursor::default(), &body).unwrap();

    let one = read(json!({ "@attributes": { "next": "" }, "Sale": { "saleID": "7" } }));
    assert_eq!((one.records.len(), one.done), (1, true));
    assert_eq!(read(json!({ "@attributes": { "next": "" } })).records.len(), 0);
}

#[test]
fn the_newest_come_first_and_pages_end_where_they_are_older() {
    let stream = whole(
        "get: /pulls\nrecords: .data\nkey: .id\npage: { page: { param: page } }\n\
         since: { newest_first: true, field: .at, overlap: 1m }\n",
    );
    let at = |minute: u32| json!({ "id": minute, "at": format!("2026-11-24T10:{minute:02}:00Z") });
    let page = |records: &[Value]| (json!({ "data": records }), NO_HEADERS);

    let (asked, cursor) =
        play(&stream, Cursor::default(), &[page(&[at(30), at(20)]), page(&[at(10)]), page(&[])]);
    assert_eq!(asked, ["/pulls?page=1", "/pulls?page=2", "/pulls?page=3"]);

    // Twenty-nine is within the overlap, twenty is not.
    let (asked, _) = play(&stream, cursor, &[page(&[at(50), at(40)]), page(&[at(29), at(20)])]);
    assert_eq!(asked.len(), 2);
}

#[test]
fn snowflakes_and_decimal_texts_are_never_numbers() {
    let stream = whole(
        "get: /messages\nrecords: .\nkey: .id\npage: { keyset: { param: after, field: .id, of: first, size: 2 } }\n\
         since: { param: after, as: integer, field: .id }\n",
    );
    let ids = |ids: &[&str]| {
        let records: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
        (Value::Array(records), NO_HEADERS)
    };
    let (asked, cursor) = play(
        &stream,
        Cursor::default(),
        &[ids(&["1175412345678901249", "1175412345678901248"]), ids(&["1175412345678901250"])],
    );
    assert_eq!(asked[1], "/messages?after=1175412345678901249");
    assert_eq!(asks(&stream, &cursor.go_on(&stream, now())), "/messages?after=1175412345678901250");

    let slack = whole(
        "get: /history\nrecords: .messages\nkey: .ts\nsince: { param: oldest, as: decimal, field: .ts }\n",
    );
    let page =
        json!({ "messages": [{ "ts": "1700000000.123456" }, { "ts": "1700000000.123457" }] });
    let (_, cursor) = play(&slack, Cursor::default(), &[(page, NO_HEADERS)]);
    assert_eq!(asks(&slack, &cursor.go_on(&slack, now())), "/history?oldest=1700000000.123457");
}

#[test]
fn what_may_cover_so_much_time_is_read_in_rounds() {
    let stream = whole(
        "get: /transactions\nrecords: .data\nkey: .id\npage: { page: { param: page, pages: .pages } }\n\
         since: { param: start_date, field: .at, as: rfc3339_seconds, overlap: 4h, begin: 60d, \
         until: { param: end_date }, window: 31d }\n",
    );
    let page = |id: u64, pages: u64| (json!({ "data": things(&[id]), "pages": pages }), NO_HEADERS);

    let (asked, cursor) = play(&stream, Cursor::default(), &[page(1, 2), page(2, 2), page(3, 1)]);

    assert_eq!(
        asked,
        [
            "/transactions?start_date=2026-09-25T12:00:00Z&end_date=2026-10-26T08:00:00Z&page=1",
            "/transactions?start_date=2026-09-25T12:00:00Z&end_date=2026-10-26T08:00:00Z&page=2",
            "/transactions?start_date=2026-10-26T08:00:00Z&end_date=2026-11-24T12:00:00Z&page=1",
        ]
    );
    // All up to now was asked for, so the next run begins there, less what may be late.
    let later = now() + SignedDuration::from_hours(1);
    assert_eq!(
        asks(&stream, &cursor.go_on(&stream, later)),
        "/transactions?start_date=2026-11-24T08:00:00Z&end_date=2026-11-24T13:00:00Z&page=1"
    );
}

#[test]
fn a_round_with_too_many_records_is_halved() {
    let stream = whole(
        "get: /t\nrecords: .data\nkey: .id\ntotal: .total\n\
         since: { param: from, field: .at, as: epoch_seconds, begin: 100s, until: { param: to }, \
         cap: { records: 10, then: halve } }\n",
    );
    let page = |id: u64, total: u64| (json!({ "data": things(&[id]), "total": total }), NO_HEADERS);

    let (asked, _) = play(&stream, Cursor::default(), &[page(1, 20), page(2, 5), page(3, 6)]);

    let now = now().as_second();
    assert_eq!(
        asked,
        [
            format!("/t?from={}&to={now}", now - 100),
            format!("/t?from={}&to={}", now - 100, now - 50),
            format!("/t?from={}&to={now}", now - 50),
        ]
    );
    let cursor = Cursor::default().go_on(&stream, now_at(0));
    assert!(cursor.halved(&stream).is_some());
}

fn now_at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

#[test]
fn beyond_a_cap_a_new_round_begins_at_the_newest() {
    let stream = whole(
        "post: /search\njson: { filters: [{ value: '' }] }\nrecords: .results\nkey: .id\n\
         page: { cursor: { body: after, at: .after } }\n\
         since: { body: filters.0.value, as: epoch_millis, field: .at, begin: '0', \
         cap: { records: 5, then: restart } }\n",
    );
    let page = |ids: &[u64], after: Option<&str>| {
        let records: Vec<_> = ids.iter().map(|id| json!({ "id": id, "at": id * 1000 })).collect();
        (json!({ "results": records, "after": after }), NO_HEADERS)
    };

    let (asked, _) = play(
        &stream,
        Cursor::default(),
        &[page(&[1, 2], Some("2")), page(&[3, 4], Some("4")), page(&[4, 5], None)],
    );

    assert_eq!(asked[0], r#"/search? {"filters":[{"value":0}]}"#);
    assert_eq!(asked[1], r#"/search? {"filters":[{"value":0}],"after":"2"}"#);
    assert_eq!(asked[2], r#"/search? {"filters":[{"value":4000}]}"#);

    // More at one moment than can be asked for is said, not gone round in.
    let full = json!({ "results": [{ "id": 1, "at": 0 }, { "id": 2, "at": 0 }, { "id": 3, "at": 0 }], "after": "3" });
    let cursor = Cursor::default().go_on(&stream, now());
    assert_eq!(answer(&stream, &cursor, &full), Err(Error::TooMany(5)));
}

#[test]
fn what_is_added_to_a_record_is_part_of_its_key() {
    let stream = whole(
        "get: '/c/{{ parent.id }}'\nrecords: .messages\nadd: { channel: '{{ parent.id }}' }\n\
         key: [.channel, .ts]\n",
    );
    let asked = "https://shop.example/c/C1".parse().unwrap();
    let body = br#"{"messages": [{"ts": "1.5"}, {}, {"ts": "2.5", "channel": "own"}]}"#;
    let read = |body: &[u8]| {
        let answer = Answer { body, headers: &[], sent_at: None, asked: &asked };
        super::read(
            &stream,
            &Cursor::default(),
            answer,
            &json!({ "parent": { "id": "C1" } }),
            now(),
        )
    };

    let keys = |read: PageRead| read.records.into_iter().map(|it| it.key).collect::<Vec<_>>();
    assert_eq!(read(body).unwrap_err(), Error::NoKey { number: 2, key: ".ts".into() });
    let good = br#"{"messages": [{"ts": "1.5"}, {"ts": "2.5", "channel": "own"}]}"#;
    let read = read(good).unwrap();
    assert_eq!(read.records[0].data, r#"{"channel":"C1","ts": "1.5"}"#);
    let joined = |a: &str, b: &str| format!("{a}{KEY_SEPARATOR}{b}");
    assert_eq!(keys(read), [joined("C1", "1.5"), joined("own", "2.5")]);
}

#[test]
fn a_session_of_the_other_side_begins_anew() {
    let stream =
        whole("get: /scroll\nrecords: .data\nkey: .id\npage: { scroll: { param: p, at: .p } }\n");
    let first = answer(&stream, &Cursor::default(), &json!({ "data": things(&[1]), "p": "s" }));
    let cursor = first.unwrap().cursor;

    assert_eq!(asks(&stream, &cursor), "/scroll?p=s");
    assert_eq!(asks(&stream, &cursor.go_on(&stream, now())), "/scroll?");
}

#[test]
fn a_session_that_keeps_its_name_goes_on_and_a_page_that_comes_again_does_not() {
    let stream = whole(
        "get: /scroll\nrecords: .data\nkey: .id\n\
         page: { scroll: { param: p, at: .p, until_empty: true } }\n",
    );
    let page = |cursor: &Cursor, of: &[u64]| {
        answer(&stream, cursor, &json!({ "data": things(of), "p": "s" }))
    };

    let mut cursor = Cursor::default();
    for number in 1..9 {
        let read = page(&cursor, &[number]).unwrap();
        assert!(!read.done, "{number}");
        cursor = read.cursor;
    }
    assert_eq!(page(&cursor, &[8]), Err(Error::Repeated));
    assert!(page(&cursor, &[]).unwrap().done);
}
