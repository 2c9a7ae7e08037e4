//! How fast it is, beside a bare loop over the same library on the same disk. Run by hand:
//! `cargo test --release -p engine store::speed -- --ignored --nocapture`

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use domain::event::DedupeKey;
use domain::page::At;
use tokio::sync::{mpsc, oneshot};

use super::tests::{Desk, at, event, page, record};
use super::*;

const SPAN: Duration = Duration::from_secs(5);

fn body(n: u64) -> String {
    let name = format!("customer number {n} of this shop");
    format!("{{\"id\":{n},\"name\":\"{name}\",\"note\":\"{}\"}}", "lorem ipsum ".repeat(78))
}

/// `callers` tasks that call again as soon as they are answered; calls a second and the 99th
/// percentile of their time.
async fn load<F, R>(callers: usize, span: Duration, call: F) -> (f64, Duration)
where
    F: Fn(u64) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (call, next) = (call.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < span {
                    let one = Instant::now();
                    call(next.fetch_add(1, Ordering::Relaxed)).await;
                    times.push(one.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort_unstable();
    (times.len() as f64 / seconds, times[times.len() * 99 / 100])
}

type Bare = (u64, String, oneshot::Sender<()>);

/// Insert and group commit, nothing else.
fn bare(dir: &Path, mut rows: mpsc::Receiver<Bare>, dedupe: bool) {
    let db = rusqlite::Connection::open(dir.join("bare.db")).unwrap();
    db.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full;
         create table events (id integer primary key, inbox integer not null,
                              received_at integer not null, body blob not null) strict;
         create table arrivals (inbox integer, key blob, event integer, primary key (inbox, key))
             without rowid;",
    )
    .unwrap();
    let mut insert = db
        .prepare("insert into events (inbox, received_at, body) values (1, ?1, ?2) returning id")
        .unwrap();
    let mut note = db
        .prepare("insert or ignore into arrivals (inbox, key, event) values (1, ?1, ?2)")
        .unwrap();
    let mut group = Vec::new();
    while let Some(first) = rows.blocking_recv() {
        db.execute_batch("begin immediate").unwrap();
        let mut next = Some(first);
        while let Some((n, body, reply)) = next {
            let id: i64 = insert.query_row((n, body.as_bytes()), |row| row.get(0)).unwrap();
            if dedupe {
                note.execute((key(n).as_slice(), id)).unwrap();
            }
            group.push(reply);
            next = if group.len() < 1_024 { rows.try_recv().ok() } else { None };
        }
        db.execute_batch("commit").unwrap();
        for reply in group.drain(..) {
            let _ = reply.send(());
        }
    }
}

fn key(n: u64) -> [u8; 16] {
    use sha2::Digest as _;
    let mut key = [0; 16];
    key.copy_from_slice(&sha2::Sha256::digest(n.to_le_bytes())[..16]);
    key
}

async fn bare_load(callers: usize, dedupe: bool) -> (f64, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let (send, rows) = mpsc::channel(4_096);
    let path = dir.path().to_owned();
    let thread = std::thread::spawn(move || bare(&path, rows, dedupe));
    let result = load(callers, SPAN, {
        let send = send.clone();
        move |n| {
            let send = send.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                send.send((n, body(n), reply)).await.unwrap();
                answer.await.unwrap();
            }
        }
    })
    .await;
    drop(send);
    // The closure of the tasks holds the last sender.
    thread.join().unwrap();
    result
}

fn arrival(inbox: InboxId, n: u64) -> Arrival {
    let mut event = event(inbox, "order.created", &body(n));
    event.external_id = Some(format!("msg_{n}"));
    event.headers = [
        ("host", "127.0.0.1:4701"),
        ("content-type", "application/json"),
        ("user-agent", "load/1.0"),
        ("webhook-id", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
        ("webhook-timestamp", "1674087231"),
        ("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    Arrival { key: Some(DedupeKey(key(n))), event }
}

async fn ours(store: &Store, inbox: InboxId, callers: usize, from: u64) -> (f64, Duration) {
    let store = store.clone();
    load(callers, SPAN, move |n| {
        let store = store.clone();
        async move {
            store.accept(vec![arrival(inbox, from + n)]).await.unwrap();
        }
    })
    .await
}

fn say(what: &str, (rate, p99): (f64, Duration)) {
    println!("{what:<50} {rate:>8.0}/s   p99 {:>6.1} ms", p99.as_secs_f64() * 1e3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and takes half a minute"]
async fn intake_beside_a_bare_loop() {
    for callers in [32, 256] {
        say(&format!("bare insert, {callers} callers"), bare_load(callers, false).await);
        say(&format!("bare insert and dedupe, {callers} callers"), bare_load(callers, true).await);
        let desk = Desk::new();
        let inbox = desk.inbox("a").await;
        say(&format!("store, {callers} callers"), ours(&desk.store, inbox, callers, 0).await);
        println!("commits: {}", desk.store.inner.writer.commits.load(Ordering::Relaxed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and takes some minutes"]
async fn with_a_million_events() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    say("store, 256 callers, empty log", ours(&desk.store, inbox, 256, 0).await);
    let began = Instant::now();
    for n in 0..1_000 {
        let from = 10_000_000 + n * 1_000;
        let batch = (from..from + 1_000).map(|n| arrival(inbox, n)).collect();
        desk.store.accept(batch).await.unwrap();
    }
    println!("a million in calls of 1,000: {:.0}/s", 1e6 / began.elapsed().as_secs_f64());
    say("store, 256 callers, a million events", ours(&desk.store, inbox, 256, 20_000_000).await);
    say("store, 32 callers, a million events", ours(&desk.store, inbox, 32, 30_000_000).await);

    let filters = [
        ("all", EventFilter::default()),
        ("inbox", EventFilter { inbox: Some(inbox), ..EventFilter::default() }),
        (
            "type",
            EventFilter { event_type: Some("order.created".into()), ..EventFilter::default() },
        ),
        ("since", EventFilter { since: Some(at(0)), ..EventFilter::default() }),
        ("word", EventFilter { text: Some("10500007".into()), ..EventFilter::default() }),
        ("common word", EventFilter { text: Some("lorem".into()), ..EventFilter::default() }),
    ];
    for (name, filter) in filters {
        let began = Instant::now();
        let slice = desk.store.events(&filter, page(100, At::Newest)).await.unwrap();
        let listed = began.elapsed();
        let began = Instant::now();
        let count = desk.store.event_count(&filter).await.unwrap();
        println!(
            "{name}: first page of {} in {listed:?}; counted {count:?} in {:?}",
            slice.items.len(),
            began.elapsed()
        );
    }
    println!("{} MB", desk.store.size_bytes().await.unwrap() >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and takes some seconds"]
async fn pages_of_a_sync() {
    let desk = Desk::new();
    let sync = desk.sync(desk.connection(false).await, "orders").await;
    let run = desk.run(sync).await;
    let data = format!("{{\"note\":\"{}\"}}", "lorem ipsum ".repeat(48));
    for round in ["new", "unchanged"] {
        let began = Instant::now();
        for n in 0..400 {
            let records =
                (0..250).map(|m| record(&format!("key-{}", n * 250 + m), &data)).collect();
            desk.page(run, records).await.unwrap();
        }
        println!("{round}: {:.0} records/s", 1e5 / began.elapsed().as_secs_f64());
    }
}
