//! Refusals and their bounds.

use super::*;

fn refusal(inbox: Option<InboxId>, second: i64) -> NewRefusal {
    NewRefusal {
        inbox,
        at: at(second),
        address: Some("192.0.2.1".into()),
        method: "POST".into(),
        path: "/in/…".into(),
        reason: if inbox.is_some() { Reason::WrongSignature } else { Reason::UnknownPath },
        message: "why".into(),
        headers: vec![("host".into(), "shop.example".into())],
        body_start: vec![b'x'; 10_000],
        size_bytes: 10_000,
    }
}

impl Desk {
    /// Notes refusals and waits until they are stored, which nobody else does.
    async fn refuse(&self, refusals: Vec<NewRefusal>) {
        for chunk in refusals.chunks(100) {
            for refusal in chunk {
                self.store.refuse(refusal.clone());
            }
            // Refusals wait in a queue of their own, and the group that holds a later write may
            // have looked there before the last of them came. The group after that has not.
            for _ in 0..2 {
                self.store.set_setting("after", "1".into()).await.unwrap();
            }
        }
    }

    async fn refused(&self, inbox: Option<InboxId>) -> Vec<Refusal> {
        self.store.refusals(inbox, page(1_000, At::Newest)).await.unwrap().items
    }
}

#[tokio::test]
async fn a_refusal_is_kept_with_the_start_of_its_body() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;

    desk.refuse(vec![refusal(Some(inbox), 10)]).await;

    let kept = &desk.refused(Some(inbox)).await[0];
    assert_eq!(kept.refused.body_start.len(), 4_096);
    let given = NewRefusal { body_start: vec![b'x'; 4_096], ..refusal(Some(inbox), 10) };
    assert_eq!((&kept.refused, kept.times), (&given, 1));
    assert_eq!(desk.store.refusal(kept.id).await.unwrap(), *kept);
    assert_eq!(desk.store.refusal_count(at(10)).await.unwrap().count, 1);
    assert_eq!(desk.store.refusal_count(at(11)).await.unwrap().count, 0);
}

#[tokio::test]
async fn a_refusal_keeps_eight_kilobytes_of_headers() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let header = |size: usize| ("x".to_owned(), "v".repeat(size - 1));
    let headers = vec![header(4 << 10), header(4 << 10), header(1)];

    desk.refuse(vec![NewRefusal { headers: headers.clone(), ..refusal(Some(inbox), 10) }]).await;

    assert_eq!(desk.refused(Some(inbox)).await[0].refused.headers, headers[..2]);
}

#[tokio::test]
async fn the_newest_thousand_of_an_inbox_are_kept() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    desk.refuse(vec![refusal(Some(b), 1)]).await;

    desk.refuse((0..1_005).map(|n| refusal(Some(a), n)).collect()).await;

    let kept = desk.refused(Some(a)).await;
    assert_eq!(kept.len(), 1_000);
    assert_eq!(kept[999].refused.at, at(5));
    assert_eq!(desk.refused(Some(b)).await.len(), 1);
}

#[tokio::test]
async fn an_address_has_one_row_a_minute_for_unknown_paths() {
    let desk = Desk::new();
    let mut nobody = refusal(None, 60);
    nobody.address = None;

    desk.refuse(vec![refusal(None, 60), refusal(None, 119), refusal(None, 120)]).await;
    desk.refuse(vec![nobody.clone(), nobody]).await;

    let times: Vec<_> = desk.refused(None).await.iter().map(|it| it.times).collect();
    assert_eq!(times, [2, 1, 2]);
    assert_eq!(desk.store.refusal_count(at(0)).await.unwrap().count, 0);
}

#[tokio::test]
async fn refusals_go_after_thirty_days() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let days = |n: i64| n * 24 * 60 * 60;
    desk.refuse(vec![refusal(Some(inbox), 0), refusal(Some(inbox), 1)]).await;

    desk.refuse(vec![refusal(Some(inbox), days(30) + 1)]).await;

    assert_eq!(desk.refused(None).await.len(), 2);
}

#[tokio::test]
async fn more_refusals_than_can_wait_are_counted_and_dropped() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;

    // On one thread with the writer elsewhere: far more than it can take meanwhile.
    for n in 0..50_000 {
        desk.store.refuse(refusal(Some(inbox), n));
    }

    assert!(desk.store.refusals_dropped() > 0);
    desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    assert!(desk.refused(Some(inbox)).await.len() <= 1_000);
}

#[tokio::test]
async fn a_flood_of_strangers_is_counted_to_the_last_one() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let mut slow = refusal(None, 61);
    slow.reason = Reason::TooSlow;
    desk.refuse(vec![refusal(Some(inbox), 59)]).await;

    for _ in 0..50_000 {
        desk.store.refuse(refusal(None, 60));
        desk.store.refuse(slow.clone());
    }
    desk.refuse(vec![refusal(None, 60)]).await;

    let mut rows: Vec<_> =
        desk.refused(None).await.iter().map(|it| (it.times, it.refused.reason)).collect();
    rows.sort_by_key(|(times, _)| *times);
    assert_eq!(
        rows,
        [(1, Reason::WrongSignature), (50_000, Reason::TooSlow), (50_001, Reason::UnknownPath)]
    );
    assert_eq!(desk.store.refusals_dropped(), 0);
}
