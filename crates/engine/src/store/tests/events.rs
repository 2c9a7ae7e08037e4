//! Reading the log.

use super::*;

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

/// What a filter means, told over plain values.
fn model(events: &[(EventId, NewEvent)], filter: &EventFilter) -> Vec<EventId> {
    let mut ids: Vec<EventId> = events
        .iter()
        .filter(|(_, event)| filter.inbox.is_none_or(|inbox| inbox == event.inbox))
        .filter(|(_, event)| {
            filter.event_type.as_ref().is_none_or(|kind| *kind == event.event_type)
        })
        .filter(|(_, event)| filter.since.is_none_or(|since| event.received_at >= since))
        .filter(|(_, event)| filter.until.is_none_or(|until| event.received_at < until))
        .map(|(id, _)| *id)
        .collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids
}

/// Both ways through all pages of three.
async fn check(desk: &Desk, events: &[(EventId, NewEvent)], filter: EventFilter) {
    let expected = model(events, &filter);

    let mut older = Vec::new();
    let mut next = At::Newest;
    loop {
        let slice = desk.store.events(&filter, page(3, next)).await.unwrap();
        older.extend(slice.items.iter().map(|event| event.id));
        let Some(id) = slice.next else { break };
        next = At::Before(id);
    }
    assert_eq!(older, expected, "{filter:?}");

    let mut newer = Vec::new();
    let mut previous = EventId::new(0);
    loop {
        let slice = desk.store.events(&filter, page(3, At::After(previous))).await.unwrap();
        if slice.items.is_empty() {
            assert_eq!(slice.previous, Some(previous));
            break;
        }
        newer.extend(slice.items.iter().rev().map(|event| event.id));
        previous = slice.previous.unwrap();
    }
    newer.reverse();
    assert_eq!(newer, expected, "{filter:?}");

    let count = desk.store.event_count(&filter).await.unwrap();
    assert_eq!(count, Count { count: expected.len() as u64, exact: true });
}

#[tokio::test]
async fn every_filter_finds_what_it_says_in_pages_both_ways() {
    let desk = Desk::new();
    let inboxes = [desk.inbox("a").await, desk.inbox("b").await];
    let mut events = Vec::new();
    for n in 0..24 {
        let mut event = event(inboxes[n % 2], ["x", "y", "z"][n % 3], "{}");
        // The clock is set back once in between.
        event.received_at = at(if n < 16 { 100 + n as i64 } else { 90 + n as i64 });
        let arrival = Arrival { key: None, event: event.clone() };
        let Accepted::New(id) = desk.store.accept(vec![arrival]).await.unwrap()[0] else {
            panic!()
        };
        events.push((id, event));
    }

    for inbox in [None, Some(inboxes[0]), Some(InboxId::new(77))] {
        for kind in [None, Some("y".to_owned()), Some("w".to_owned())] {
            for (since, until) in [
                (None, None),
                (Some(at(104)), None),
                (None, Some(at(110))),
                (Some(at(105)), Some(at(109))),
            ] {
                let event_type = kind.clone();
                let filter = EventFilter { inbox, event_type, since, until, text: None };
                check(&desk, &events, filter).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_seen_an_id_never_finds_a_new_event_at_or_below_it() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let store = desk.store.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let arrival = Arrival { key: None, event: event(inbox, "x", "{}") };
                    store.accept(vec![arrival]).await.unwrap();
                }
            })
        })
        .collect();

    // Follows the log by the newest id it has seen, as a watcher does.
    let mut seen = Vec::new();
    let mut after = EventId::new(0);
    while seen.len() < 200 {
        let slice =
            desk.store.events(&EventFilter::default(), page(7, At::After(after))).await.unwrap();
        seen.extend(slice.items.iter().rev().map(|event| event.id));
        after = slice.previous.unwrap();
    }

    for writer in writers {
        writer.await.unwrap();
    }
    let mut all = desk.list(&EventFilter::default(), page(1_000, At::Newest)).await;
    all.reverse();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_count_is_exact_up_to_ten_thousand() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let many = |n| (0..n).map(|_| Arrival { key: None, event: event(inbox, "x", "") }).collect();
    desk.store.accept(many(10_000)).await.unwrap();
    let filter = EventFilter { inbox: Some(inbox), ..EventFilter::default() };

    let exact = desk.store.event_count(&filter).await.unwrap();
    desk.store.accept(many(1)).await.unwrap();
    let more = desk.store.event_count(&filter).await.unwrap();

    assert_eq!(exact, Count { count: 10_000, exact: true });
    assert_eq!(more, Count { count: 10_000, exact: false });
    assert_eq!(desk.store.heard().await.unwrap(), [(inbox, at(10), more)]);
}

#[tokio::test]
async fn rates_count_events_by_inbox_and_step() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    for (inbox, second) in [(a, 9), (a, 10), (a, 19), (b, 29), (a, 30), (a, 40)] {
        let mut event = event(inbox, "x", "");
        event.received_at = at(second);
        desk.store.accept(vec![Arrival { key: None, event }]).await.unwrap();
    }

    let rates = desk.store.event_rates(at(40), SignedDuration::from_secs(10), 3).await.unwrap();

    let expected = [
        EventRate { inbox: a, counts: vec![2, 0, 1] },
        EventRate { inbox: b, counts: vec![0, 1, 0] },
    ];
    assert_eq!(rates, expected);
}

#[tokio::test]
async fn types_are_named_most_frequent_first() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    for (inbox, kind) in [(a, "x"), (a, "y"), (b, "y"), (b, "z"), (b, "z"), (b, "z"), (a, "")] {
        let arrival = Arrival { key: None, event: event(inbox, kind, "") };
        desk.store.accept(vec![arrival]).await.unwrap();
    }

    assert_eq!(desk.store.event_types(None).await.unwrap(), ["z", "y", "x"]);
    assert_eq!(desk.store.event_types(Some(a)).await.unwrap(), ["x", "y"]);
}

#[tokio::test]
async fn slow_reads_leave_the_log_readable() {
    let desk = Desk::new();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let (store, held) = (desk.store.clone(), Arc::clone(&held));
            tokio::spawn(async move {
                let wait = move |_: &readers::Reader| {
                    let _ = held.lock().unwrap().recv();
                    Ok(())
                };
                store.read_filtered(true, wait).await
            })
        })
        .collect();
    while desk.store.inner.readers.slow_left() > 0 {
        tokio::task::yield_now().await;
    }

    let listed = desk.list(&EventFilter::default(), page(10, At::Newest)).await;

    assert_eq!(listed, []);
    drop(hold);
    for read in slow {
        read.await.unwrap().unwrap();
    }
}
