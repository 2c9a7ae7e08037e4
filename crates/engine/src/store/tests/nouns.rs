//! Inboxes, connections, syncs, tunnels and settings.

use domain::connection::LedgerEntry;

use super::*;

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

#[tokio::test]
async fn a_deletion_that_a_stop_interrupted_is_finished_on_the_next_start() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    let connection = desk.connection(false).await;
    let run = desk.run(desk.sync(connection, "orders").await).await;
    desk.page(run, vec![record("1", "1")]).await.unwrap();
    desk.store.accept(vec![arrival(a, 1), arrival(b, 1)]).await.unwrap();
    // Both deletions have begun, and none of their steps was done.
    desk.sql("update inboxes set doomed = 1 where name = 'a'").await;
    desk.sql("delete from connections").await;
    let desk = desk.reopen().await;

    // Steps and other writes take turns; this one is told when all before it are through.
    while desk.number("select count(*) from streams") > 0
        || desk.number("select count(*) from inboxes where doomed") > 0
    {
        desk.store.set_setting("turn", "1".into()).await.unwrap();
    }

    assert_eq!(desk.number("select count(*) from events"), 1);
    assert_eq!(desk.number("select count(*) from arrivals"), 1);
    assert_eq!(desk.number("select count(*) from records"), 0);
}

#[tokio::test]
async fn an_inbox_is_renamed_registered_and_given_secrets() {
    let desk = Desk::new();
    let id = desk.inbox("b").await;
    let other = desk.inbox("c").await;
    let registered = Registration::Registered {
        external_id: Some("wh_1".into()),
        url: "https://a.example/in/x".into(),
        at: at(3),
    };

    desk.store.set_inbox_secrets(id, 4).await.unwrap();
    desk.store.set_inbox_registration(id, registered.clone()).await.unwrap();
    let renamed = desk.store.update_inbox(id, Some("z".into()), None).await.unwrap();

    assert_eq!(renamed, desk.store.inbox(id).await.unwrap());
    assert_eq!((renamed.secrets, renamed.inbox.registration), (Some(4), registered));
    let names: Vec<_> =
        desk.store.inboxes().await.unwrap().into_iter().map(|inbox| inbox.id).collect();
    assert_eq!(names, [other, id]);
    let missing = InboxId::new(99);
    assert_eq!(
        desk.store.update_inbox(missing, Some("x".into()), None).await,
        Err(Error::NotFound)
    );
    assert_eq!(desk.store.set_inbox_secrets(missing, 1).await, Err(Error::NotFound));
    assert_eq!(desk.store.delete_inbox(missing).await, Err(Error::NotFound));
}

#[tokio::test]
async fn a_rotation_is_remembered_until_it_is_answered() {
    let desk = Desk::new();
    let id = desk.connection(false).await;
    let since = async || desk.store.connection(id).await.unwrap().rotating_since;

    desk.store.begin_rotation(id, at(5)).await.unwrap();
    desk.store.begin_rotation(id, at(6)).await.unwrap();
    assert_eq!(since().await, Some(at(5)));
    desk.store.set_connection_secrets(id, 2, Some(at(900))).await.unwrap();

    let connection = desk.store.connection(id).await.unwrap();
    assert_eq!(connection.rotating_since, None);
    assert_eq!((connection.secrets, connection.token_expires_at), (Some(2), Some(at(900))));
    desk.store.begin_rotation(id, at(7)).await.unwrap();
    desk.store.abandon_rotation(id).await.unwrap();
    assert_eq!(since().await, None);
    assert_eq!(desk.store.connection(id).await.unwrap().secrets, Some(2));
}

#[tokio::test]
async fn a_connection_changes_what_it_is_told_to() {
    let desk = Desk::new();
    let id = desk.connection(false).await;
    let state = ConnectionState::NeedsSignIn { why: "it was refused".into(), since: at(4) };

    desk.store.set_connection_state(id, state.clone()).await.unwrap();
    desk.store.set_connection_checked(id, Some("shop 1".into()), at(8)).await.unwrap();
    desk.store.set_connection_checked(id, None, at(9)).await.unwrap();
    desk.store.update_connection(id, Some("new".into()), None).await.unwrap();

    let connection = desk.store.connection(id).await.unwrap();
    assert_eq!(connection.connection.name, "new");
    assert_eq!(connection.connection.settings["host"], "shop.example");
    assert_eq!(connection.connection.state, state);
    assert_eq!(connection.account.as_deref(), Some("shop 1"));
    assert_eq!(connection.checked_at, Some(at(9)));
    assert_eq!(desk.store.connections().await.unwrap(), [connection]);
}

#[tokio::test]
async fn a_deleted_connection_takes_its_syncs_and_records_and_leaves_its_inboxes() {
    let desk = Desk::new();
    let (gone, stays) = (desk.connection(false).await, desk.connection(false).await);
    for connection in [gone, stays] {
        let run = desk.run(desk.sync(connection, "orders").await).await;
        let records = (0..600).map(|n| record(&n.to_string(), "1")).collect();
        desk.page(run, records).await.unwrap();
    }
    let inbox = desk.inbox("a").await;
    desk.sql("update inboxes set connection = 1").await;

    desk.store.delete_connection(gone).await.unwrap();

    assert_eq!(desk.store.connection(gone).await, Err(Error::NotFound));
    assert_eq!(desk.store.inbox(inbox).await.unwrap().inbox.connection, None);
    assert_eq!(desk.store.syncs().await.unwrap().len(), 1);
    assert_eq!(desk.store.unfinished_runs().await.unwrap().len(), 1);
    assert_eq!(desk.number("select count(*) from records"), 600);
    assert_eq!(desk.store.delete_connection(gone).await, Err(Error::NotFound));
}

#[tokio::test]
async fn a_stream_of_a_connection_has_one_sync() {
    let desk = Desk::new();
    let connection = desk.connection(false).await;
    let id = desk.sync(connection, "orders").await;
    let new = |connection| NewSync {
        connection,
        stream: "orders".into(),
        schedule: Some(domain::sync::Schedule::Every { every: "5m".into() }),
        paused: true,
        sandbox: false,
    };

    let taken = desk.store.create_sync(new(connection), None, at(1)).await;
    let missing = desk.store.create_sync(new(ConnectionId::new(9)), None, at(1)).await;
    let set = desk.store.schedule_sync(id, new(connection), Some(at(5))).await.unwrap();

    assert_eq!(taken, Err(Error::Taken("orders".into())));
    assert_eq!(missing, Err(Error::NotFound));
    assert_eq!(set.sync, new(connection));
    desk.store.delete_sync(id).await.unwrap();
    assert_eq!(desk.store.sync_cursor(id).await, Err(Error::NotFound));
}

#[tokio::test]
async fn the_sandbox_goes_with_all_that_is_its() {
    let desk = Desk::new();
    let (shop, own) = (desk.connection(true).await, desk.connection(false).await);
    for connection in [shop, own] {
        let run = desk.run(desk.sync(connection, "orders").await).await;
        desk.page(run, vec![record("1", "1")]).await.unwrap();
    }
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    desk.sql("update inboxes set sandbox = 1 where name = 'a'").await;
    desk.store.accept(vec![arrival(a, 1), arrival(b, 2)]).await.unwrap();

    desk.store.delete_sandbox().await.unwrap();

    assert_eq!(desk.store.connections().await.unwrap().len(), 1);
    assert_eq!(desk.store.inboxes().await.unwrap()[0].id, b);
    assert_eq!(desk.store.syncs().await.unwrap().len(), 1);
    assert_eq!(desk.number("select count(*) from events"), 1);
    assert_eq!(desk.number("select count(*) from records"), 1);
    // Nothing is left to delete, and that is no fault.
    desk.store.delete_sandbox().await.unwrap();
}

#[tokio::test]
async fn tunnels_are_kept_switched_and_deleted() {
    let desk = Desk::new();
    let new = NewTunnel {
        kind: "bore".into(),
        name: "out".into(),
        settings: BTreeMap::from([("to".into(), "bore.example".into())]),
        on: false,
    };
    let made = desk.store.create_tunnel(new.clone(), at(2)).await.unwrap();

    desk.store.switch_tunnel(made.id, true).await.unwrap();
    desk.store.set_tunnel_secrets(made.id, 3).await.unwrap();

    let tunnel = desk.store.tunnel(made.id).await.unwrap();
    assert_eq!(tunnel.tunnel, NewTunnel { on: true, ..new });
    assert_eq!((tunnel.secrets, tunnel.created_at), (Some(3), at(2)));
    assert_eq!(desk.store.tunnels().await.unwrap(), [tunnel]);
    desk.store.delete_tunnel(made.id).await.unwrap();
    assert_eq!(desk.store.switch_tunnel(made.id, true).await, Err(Error::NotFound));
}

#[tokio::test]
async fn a_setting_is_what_it_was_set_to_last() {
    let desk = Desk::new();

    assert_eq!(desk.store.setting("settings").await.unwrap(), None);
    desk.store.set_setting("settings", "1".into()).await.unwrap();
    desk.store.set_setting("settings", "2".into()).await.unwrap();

    assert_eq!(desk.store.setting("settings").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn a_deletion_gives_room_back_to_the_disk() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let many = (0..300)
        .map(|_| {
            let mut event = event(inbox, "x", "");
            event.body = vec![7; 40_000].into();
            Arrival { key: None, event }
        })
        .collect();
    desk.store.accept(many).await.unwrap();
    let before = desk.number("select page_count from pragma_page_count");

    desk.store.delete_inbox(inbox).await.unwrap();
    // The steps go on behind other writes.
    while desk.number("select freelist_count from pragma_freelist_count") > 1_024 {
        desk.store.set_setting("turn", "1".into()).await.unwrap();
    }

    assert!(desk.number("select page_count from pragma_page_count") < before - 1_000);
    desk.store.check().await.unwrap();
}

#[tokio::test]
async fn the_store_closes_without_waiting_for_the_end_of_a_long_deletion() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let many = (0..20_000).map(|_| Arrival { key: None, event: event(inbox, "x", "") }).collect();
    desk.store.accept(many).await.unwrap();
    let deletes = {
        let store = desk.store.clone();
        tokio::spawn(async move { store.delete_inbox(inbox).await })
    };
    while desk.store.inbox(inbox).await.is_ok() {
        tokio::task::yield_now().await;
    }

    desk.store.close().await.unwrap();

    assert_eq!(deletes.await.unwrap(), Err(Error::Closed));
    assert!(desk.number("select count(*) from events") > 0);
    // The next start takes it up.
    let desk = Desk::at(desk.dir);
    while desk.number("select count(*) from inboxes") > 0 {
        desk.store.set_setting("turn", "1".into()).await.unwrap();
    }
    assert_eq!(desk.number("select count(*) from events"), 0);
}

#[tokio::test]
async fn a_doomed_inbox_is_invisible_with_all_it_holds_until_its_secrets_are_gone() {
    let desk = Desk::new();
    let (a, b) = (desk.inbox("a").await, desk.inbox("b").await);
    desk.store.accept(vec![arrival(a, 1), arrival(b, 1)]).await.unwrap();
    let all = EventFilter::default();
    let of_a = desk.list(&EventFilter { inbox: Some(a), ..all.clone() }, page(9, At::Newest)).await;
    desk.store.set_inbox_secrets(a, 3).await.unwrap();

    desk.store.doom_inbox(a).await.unwrap();

    assert_eq!(desk.list(&all, page(9, At::Newest)).await.len(), 1);
    assert_eq!(desk.store.event_count(&all).await.unwrap().count, 1);
    let found = EventFilter { text: Some("order".into()), ..all.clone() };
    assert_eq!(desk.store.event_count(&found).await.unwrap().count, 1);
    assert_eq!(desk.store.event(of_a[0]).await, Err(Error::NotFound));
    assert_eq!(desk.store.event_body(of_a[0]).await, Err(Error::NotFound));
    assert_eq!(desk.store.heard().await.unwrap().len(), 1);
    assert_eq!(desk.store.finish_deletion(a).await, Ok(1));
    assert_eq!(desk.store.doomed_inboxes().await, Ok(vec![(a, Some(3))]));
    desk.store.forget_inbox_secrets(a).await.unwrap();
    desk.store.finish_deletion(a).await.unwrap();
    assert_eq!(desk.store.doomed_inboxes().await, Ok(vec![]));
}

#[tokio::test]
async fn what_was_not_sent_after_all_is_taken_out_of_the_ledger() {
    let desk = Desk::new();
    let id = desk.connection(false).await;
    let entry = |from, to, times| LedgerEntry {
        connection: id,
        secrets: vec!["token".into()],
        host: "shop.example".into(),
        purpose: "check".into(),
        first_at: at(from),
        last_at: at(to),
        times,
    };
    let times = async || {
        let rows = desk.store.ledger(id, 10).await.unwrap();
        rows.iter().map(|row| row.times).collect::<Vec<_>>()
    };
    desk.store.note_in_ledger(vec![entry(1, 2, 2)], vec![]).await.unwrap();
    desk.store.note_in_ledger(vec![entry(200, 200, 1)], vec![entry(2, 2, 1)]).await.unwrap();
    assert_eq!(times().await, [1, 1]);

    desk.store.note_in_ledger(vec![], vec![entry(200, 200, 1)]).await.unwrap();
    assert_eq!(times().await, [1]);
    desk.store.note_in_ledger(vec![], vec![entry(0, 0, 1)]).await.unwrap();
    assert_eq!(times().await, [1]);
}
