//! Intake: what is stored once, whole, in groups, and how it fails.

use std::sync::mpsc;

use super::*;

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
async fn what_waits_is_committed_together_and_a_bad_write_fails_alone() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let before = desk.commits();
    let hold = desk.hold().await;
    let good = desk.spawn(vec![arrival(inbox, 1)]);
    let bad = desk.spawn(vec![arrival(inbox, 2), arrival(InboxId::new(99), 3)]);
    let also_good = desk.spawn(vec![arrival(inbox, 4)]);
    let settings = {
        let store = desk.store.clone();
        tokio::spawn(async move { store.set_setting("a", "1".into()).await })
    };
    desk.queued(3).await;

    drop(hold);

    let good = good.await.unwrap().unwrap();
    let also_good = also_good.await.unwrap().unwrap();
    assert!(matches!((good[0], also_good[0]), (Accepted::New(_), Accepted::New(_))));
    assert_eq!(bad.await.unwrap(), Err(Error::NotFound));
    settings.await.unwrap().unwrap();
    assert!(desk.commits() - before <= 2, "{} commits", desk.commits() - before);
    assert_eq!(desk.store.event_count(&EventFilter::default()).await.unwrap().count, 2);
}

#[tokio::test]
async fn many_callers_share_few_commits() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let before = desk.commits();

    let calls =
        (0..200).map(|_| desk.spawn(vec![Arrival { key: None, event: event(inbox, "x", "{}") }]));
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }

    let commits = desk.commits() - before;
    assert!(commits < 100, "{commits} commits for 200 calls");
}

#[tokio::test]
async fn a_full_queue_turns_away_after_the_callers_patience_and_stores_nothing() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let hold = desk.hold().await;
    let large = vec![0; writer::ROOM << 10];
    let mut fills = event(inbox, "x", "");
    fills.body = large.into();
    let filling = desk.spawn(vec![Arrival { key: None, event: fills }]);
    desk.queued(1).await;

    let (waiting, most) = desk.store.queue_depth();
    let refused = desk.store.accept_within(vec![arrival(inbox, 1)], Duration::ZERO).await;

    assert_eq!((waiting, refused), (most, Err(Error::Busy)));
    drop(hold);
    filling.await.unwrap().unwrap();
    let accepted = desk.store.accept_within(vec![arrival(inbox, 1)], Duration::MAX).await;
    assert!(matches!(accepted.unwrap()[0], Accepted::New(_)));
    assert_eq!(desk.store.queue_depth().0, 0);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nobody_along() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let hold = desk.hold().await;
    let leaves = desk.spawn(vec![arrival(inbox, 1)]);
    let stays = desk.spawn(vec![arrival(inbox, 2)]);
    desk.queued(2).await;

    leaves.abort();
    let _ = leaves.await;
    drop(hold);

    stays.await.unwrap().unwrap();
    assert_eq!(desk.store.queue_depth().0, 0);
    // Whoever left comes again, and is welcome.
    let again = desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    assert!(matches!(again[0], Accepted::New(_)));
}

#[tokio::test]
async fn an_id_is_never_given_twice() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    let first = desk.store.accept(vec![arrival(a, 1), arrival(a, 2)]).await.unwrap();
    desk.store.delete_inbox(a).await.unwrap();
    let desk = desk.reopen().await;

    let next = desk.store.accept(vec![arrival(b, 1)]).await.unwrap();

    let (Accepted::New(last), Accepted::New(next)) = (first[1], next[0]) else { panic!() };
    assert!(next > last);
}

#[tokio::test]
async fn a_key_outlives_its_event() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let first = desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    let Accepted::New(id) = first[0] else { panic!() };
    desk.sql("delete from events").await;

    let again = desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();

    assert_eq!(again, [Accepted::Repeat(id)]);
}

#[tokio::test]
async fn a_full_disk_is_told_and_got_over() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let kept = desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    desk.sql("pragma max_page_count = 60").await;

    let mut large = arrival(inbox, 2);
    large.event.body = vec![7; 1 << 20].into();
    let refused = desk.store.accept(vec![large.clone()]).await;

    assert_eq!(refused, Err(Error::DiskFull));
    assert!(desk.store.is_full());
    desk.sql("pragma max_page_count = 1000000").await;
    let accepted = desk.store.accept(vec![large]).await.unwrap();
    assert!(matches!(accepted[0], Accepted::New(_)));
    assert!(!desk.store.is_full());
    assert_eq!(desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap()[0], {
        let Accepted::New(id) = kept[0] else { panic!() };
        Accepted::Repeat(id)
    });
    desk.store.check().await.unwrap();
}

/// A real disk that is full, which needs one to be made: a directory on a file system of some
/// 16 MB, by `PATCHBAY_TEST_SMALL_DISK`.
#[tokio::test]
#[ignore = "it needs a small file system of its own"]
async fn a_disk_that_is_really_full_is_got_over() {
    let dir = std::env::var_os("PATCHBAY_TEST_SMALL_DISK").unwrap();
    let dir = tempfile::tempdir_in(dir).unwrap();
    let filler = dir.path().join("filler");
    std::fs::write(&filler, vec![0; 4 << 20]).unwrap();
    let desk = Desk::at(dir);
    let inbox = desk.inbox("a").await;
    let mut acknowledged = 0;
    let failed = loop {
        let mut event = event(inbox, "x", "");
        event.body = vec![7; 100_000].into();
        match desk.store.accept(vec![Arrival { key: None, event }]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(failed, Error::DiskFull);

    std::fs::remove_file(filler).unwrap();

    for key in 0..10 {
        desk.store.accept(vec![arrival(inbox, key)]).await.unwrap();
    }
    let count = desk.store.event_count(&EventFilter::default()).await.unwrap().count;
    assert_eq!(count, acknowledged + 10);
    desk.store.check().await.unwrap();
}

#[tokio::test]
async fn a_group_that_fails_as_a_whole_tells_all_of_it_and_writing_goes_on() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let hold = desk.hold().await;
    let one = desk.spawn(vec![arrival(inbox, 1)]);
    desk.queued(1).await;
    let breaks = {
        let store = desk.store.clone();
        // What a fault of the disk does: the transaction is gone when the write returns.
        tokio::spawn(async move {
            let write = store.write(|db| Ok(db.execute_batch("rollback")?));
            write.await
        })
    };
    let settings = {
        let store = desk.store.clone();
        tokio::spawn(async move { store.set_setting("a", "1".into()).await })
    };

    drop(hold);

    breaks.await.unwrap().unwrap_err();
    // These two were in its group, or came after: told so in either case, and never half stored.
    let stored = one.await.unwrap().is_ok();
    let set = settings.await.unwrap().is_ok();
    let count = desk.store.event_count(&EventFilter::default()).await.unwrap().count;
    assert_eq!(count, u64::from(stored));
    assert_eq!(desk.store.setting("a").await.unwrap().is_some(), set);
    desk.store.accept(vec![arrival(inbox, 2)]).await.unwrap();
}

#[tokio::test]
async fn what_is_queued_is_written_before_the_store_closes() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let hold = desk.hold().await;
    let waiting = desk.spawn(vec![arrival(inbox, 1)]);
    desk.queued(1).await;
    let closing = {
        let store = desk.store.clone();
        tokio::spawn(async move { store.close().await })
    };

    drop(hold);

    waiting.await.unwrap().unwrap();
    closing.await.unwrap().unwrap();
    assert_eq!(desk.store.accept(vec![arrival(inbox, 2)]).await, Err(Error::Closed));
    let desk = desk.reopen().await;
    assert_eq!(desk.store.event_count(&EventFilter::default()).await.unwrap().count, 1);
}

#[tokio::test]
async fn the_wal_stays_within_its_limit() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;

    for _ in 0..12 {
        let mut event = event(inbox, "x", "");
        event.body = vec![7; 8 << 20].into();
        let accepted = desk.store.accept(vec![Arrival { key: None, event }]).await.unwrap();
        let Accepted::New(id) = accepted[0] else { panic!() };
        // The index would read an old state for as long as a slow disk takes.
        desk.indexed(id).await;
    }

    let wal = desk.dir.path().join("patchbay.db-wal").metadata().unwrap().len();
    assert!(wal < 80 << 20, "{wal} bytes");
}

impl Desk {
    fn commits(&self) -> u64 {
        self.store.inner.writer.commits.load(Ordering::Relaxed)
    }

    /// Keeps the writer busy until what comes back is dropped.
    async fn hold(&self) -> mpsc::Sender<()> {
        let (hold, held) = mpsc::channel();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let store = self.store.clone();
        tokio::spawn(async move {
            store
                .write(move |_| {
                    let _ = begun.send(());
                    let _: std::result::Result<(), _> = held.recv();
                    Ok(())
                })
                .await
        });
        begins.await.unwrap();
        hold
    }

    fn spawn(&self, arrivals: Vec<Arrival>) -> tokio::task::JoinHandle<Result<Vec<Accepted>>> {
        let store = self.store.clone();
        tokio::spawn(async move { store.accept(arrivals).await })
    }

    /// Lets other tasks go on until `n` calls of intake wait.
    async fn queued(&self, n: usize) {
        while self.store.inner.writer.waiting() < n {
            tokio::task::yield_now().await;
        }
    }
}
