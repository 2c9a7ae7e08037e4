//! Requests over real HTTP on loopback: where they go, how long they take, how often they are made.

use std::collections::VecDeque;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use domain::connector::{Errors, Limit};
use http::HeaderValue;
use serde_json::{Value, json};

use super::*;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2026-11-25T10:00:00Z".parse().unwrap()
    }
}

/// What a server does with a request.
#[derive(Clone)]
enum Reply {
    Status(u16, &'static [(&'static str, &'static str)]),
    Redirect(String),
    /// So many bytes, with their number announced or not.
    Bytes(usize, bool),
    /// The beginning of a body, and nothing more.
    Silence,
    /// A byte every few milliseconds, for ever.
    Drip,
}

/// A server that answers in turn what it was told to, at last 200, and notes what it was sent.
#[derive(Clone)]
struct Server {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    url: Url,
}

impl Server {
    async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            seen: Arc::default(),
            url: format!("http://{}/?q=canary", listener.local_addr().unwrap()).parse().unwrap(),
        };
        let routes = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        server
    }

    fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().clone()
    }

    fn times(&self) -> usize {
        self.seen().len()
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap) -> Response {
    server.seen.lock().unwrap().push(headers);
    let reply = server.replies.lock().unwrap().pop_front();
    let endless = |pause| {
        let parts = futures::stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        axum::body::Body::from_stream(parts).into_response()
    };
    match reply {
        None => "fine".into_response(),
        Some(Reply::Status(status, headers)) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            for (name, value) in headers {
                response.headers_mut().insert(*name, HeaderValue::from_static(value));
            }
            response
        }
        Some(Reply::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Reply::Bytes(size, true)) => vec![b'x'; size].into_response(),
        Some(Reply::Bytes(size, false)) => {
            let parts = (0..size / 1_000).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1_000]));
            axum::body::Body::from_stream(futures::stream::iter(parts)).into_response()
        }
        Some(Reply::Silence) => endless(Duration::from_secs(3_600)),
        Some(Reply::Drip) => endless(Duration::from_millis(5)),
    }
}

fn request(method: Method, url: &Url) -> Request {
    let credential =
        Carried::header(header::AUTHORIZATION, domain::secret::Secret::new("Bearer canary".into()));
    Request {
        method,
        url: url.clone(),
        named_by: NamedBy::Connector,
        headers: HeaderMap::new(),
        credential,
        body: None,
        carrying: None,
    }
}

/// Where a user who typed a loopback address may go.
fn typed() -> Reach {
    Reach { hosts: vec!["127.0.0.1".into()], typed: true, ..Reach::default() }
}

fn outgoing() -> Outgoing {
    Outgoing::new(Arc::new(FixedClock)).unwrap()
}

fn budget(limit: Value) -> Budget {
    let limit: Limit = serde_json::from_value(limit).unwrap();
    let base = "https://api.example/v1/".parse().unwrap();
    Budget::new(&limit, &Errors::default(), &base, &json!({})).unwrap()
}

async fn get(url: &Url, reach: &Reach) -> Result<Answer, Error> {
    outgoing().send(&request(Method::GET, url), reach, None).await
}

#[tokio::test]
async fn a_request_says_who_sends_it_and_carries_its_credential() {
    let server = Server::start([]).await;

    let answer = get(&server.url, &typed()).await.unwrap();

    assert_eq!((answer.status, &answer.body[..], answer.requests), (200, &b"fine"[..], 1));
    let seen = server.seen();
    assert_eq!(seen[0]["user-agent"], concat!("Patchbay/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen[0]["authorization"], "Bearer canary");
}

/// The same request, carrying a secret of a connection that the ledger knows by its name.
fn carrying(method: Method, url: &Url) -> Request {
    let mut secrets = domain::secret::Secrets::new();
    secrets.set("token", domain::secret::Secret::new("canary".into()));
    let carrying = Carrying {
        connection: Some(ConnectionId::new(1)),
        secrets: Arc::new(secrets),
        purpose: "sync of orders".into(),
        watched: false,
        brings_secrets: false,
    };
    Request { carrying: Some(carrying), ..request(method, url) }
}

fn times(outgoing: &Outgoing) -> u64 {
    outgoing.trace().take_ledger().sent.iter().map(|entry| entry.times).sum()
}

#[tokio::test]
async fn a_request_that_is_given_up_is_in_the_ledger_and_one_that_never_left_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let outgoing = outgoing();
    let (request, reach) = (carrying(Method::POST, &url), typed());
    // It is heard, never answered, and given up.
    let heard = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first).await.unwrap();
        stream
    };
    let stream = tokio::select! {
        stream = heard => stream,
        answer = outgoing.send(&request, &reach, None) => panic!("{answer:?}"),
    };
    assert_eq!(times(&outgoing), 1);

    drop((stream, listener));
    let nobody = outgoing.send(&request, &reach, None).await;
    assert!(matches!(nobody, Err(Error::Unreachable { .. })), "{nobody:?}");
    assert_eq!(times(&outgoing), 0);
}

#[tokio::test]
async fn a_redirect_on_the_same_origin_keeps_the_credential() {
    let server = Server::start([Reply::Redirect("/elsewhere".into())]).await;

    let answer = get(&server.url, &typed()).await.unwrap();

    assert_eq!(answer.url.path(), "/elsewhere");
    assert_eq!(server.seen()[1]["authorization"], "Bearer canary");
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_checked_and_loses_the_credential() {
    let other = Server::start([]).await;
    let server = Server::start([
        Reply::Redirect(other.url.to_string()),
        Reply::Redirect(other.url.to_string()),
    ])
    .await;

    // The same host at another port: what was typed does not hold for what an answer names.
    let refused = get(&server.url, &typed()).await;
    let is_plain = |error: &Error| matches!(error, Error::SentOn { why: Refused::Plain(_), .. });
    assert!(refused.as_ref().is_err_and(is_plain), "{refused:?}");
    assert_eq!(other.times(), 0);

    let reach = Reach { sandbox: Some(other.url.clone()), ..typed() };
    get(&server.url, &reach).await.unwrap();
    assert_eq!(other.times(), 1);
    assert!(!other.seen()[0].contains_key("authorization"));
}

#[tokio::test]
async fn redirects_come_to_an_end_and_are_not_followed_with_a_body() {
    let server = Server::start([]).await;
    let round: Vec<_> = (0..6).map(|_| Reply::Redirect("/again".into())).collect();
    server.replies.lock().unwrap().extend(round.clone());
    let outcome = get(&server.url, &typed()).await;
    assert!(matches!(outcome, Err(Error::Answer { .. })), "{outcome:?}");

    server.replies.lock().unwrap().extend(round);
    let before = server.times();
    let answer = outgoing().send(&request(Method::POST, &server.url), &typed(), None).await;
    assert_eq!(answer.unwrap().status, 302);
    assert_eq!(server.times(), before + 1);
}

#[tokio::test]
async fn private_addresses_are_not_called_for_data_by_number_or_by_name() {
    let server = Server::start([]).await;
    let port = server.url.port().unwrap();
    let reach = Reach { hosts: vec!["127.0.0.1".into(), "localhost".into()], ..Reach::default() };

    let number = get(&format!("https://127.0.0.1:{port}/").parse().unwrap(), &reach).await;
    assert!(matches!(number, Err(Error::Host(Refused::Never(_)))), "{number:?}");
    let name: Url = format!("https://localhost:{port}/").parse().unwrap();
    let name = outgoing().send(&request(Method::POST, &name), &reach, None).await;
    match name {
        Err(Error::Unreachable { why, .. }) => assert!(why.contains("not called"), "{why}"),
        other => panic!("{other:?}"),
    }
    let own = Reach { own_ports: vec![port], ..typed() };
    let own = get(&server.url, &own).await;
    assert!(matches!(own, Err(Error::Host(Refused::Never(_)))), "{own:?}");
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_taken_in() {
    let bounds = Bounds { largest: 100_000, ..BOUNDS };
    let outgoing = Outgoing::within(Arc::new(FixedClock), &bounds).unwrap();
    for (size, announced) in [(100_000, true), (100_000, false)] {
        let server = Server::start([Reply::Bytes(size, announced)]).await;
        let answer = outgoing.send(&request(Method::GET, &server.url), &typed(), None).await;
        assert_eq!(answer.unwrap().body.len(), 100_000);
    }
    for (size, announced) in [(100_001, true), (10_000_000, false)] {
        let server = Server::start([Reply::Bytes(size, announced)]).await;
        let answer = outgoing.send(&request(Method::GET, &server.url), &typed(), None).await;
        assert!(matches!(answer, Err(Error::TooLarge(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_stops_or_never_ends_is_given_up() {
    let silence = Bounds { silence: Duration::from_millis(100), ..BOUNDS };
    let whole = Bounds { whole: Duration::from_millis(200), ..BOUNDS };
    for (bounds, reply) in [(silence, Reply::Silence), (whole, Reply::Drip)] {
        let server = Server::start([reply]).await;
        let outgoing = Outgoing::within(Arc::new(FixedClock), &bounds).unwrap();

        let answer = outgoing.send(&request(Method::POST, &server.url), &typed(), None).await;

        assert!(matches!(answer, Err(Error::TimedOut(_))), "{answer:?}");
        assert_eq!(server.times(), 1, "what may have been done is not done again");
    }
}

#[tokio::test]
async fn a_short_wait_is_waited_for_and_a_long_one_is_told() {
    let limit = || budget(json!({ "retry_after": "any" }));
    for short in [
        &[("retry-after", "0")][..],
        &[("retry-after", "0.02")],
        &[("retry-after", "Wed, 25 Nov 2026 09:59:00 GMT")],
    ] {
        let server = Server::start([Reply::Status(429, short)]).await;
        let answer =
            outgoing().send(&request(Method::POST, &server.url), &typed(), Some(&limit())).await;
        assert_eq!(answer.unwrap().requests, 2, "{short:?}");
    }
    for (long, expected) in [
        (&[("retry-after", "90")][..], "2026-11-25T10:01:30Z"),
        (&[("retry-after", "Wed, 25 Nov 2026 10:05:00 GMT")], "2026-11-25T10:05:00Z"),
    ] {
        let server = Server::start([Reply::Status(429, long)]).await;
        let limit = limit();
        for _ in 0..2 {
            let answer =
                outgoing().send(&request(Method::GET, &server.url), &typed(), Some(&limit)).await;
            match answer {
                Err(Error::RateLimited { until, .. }) => {
                    assert_eq!(until, expected.parse().unwrap(), "{long:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(server.times(), 1, "nothing is sent before");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let soon = Reply::Status(503, &[("retry-after", "0")]);
    let limit = budget(json!({}));
    let server = Server::start([soon.clone(), soon.clone()]).await;
    let outgoing = outgoing();

    let post = outgoing.send(&request(Method::POST, &server.url), &typed(), Some(&limit)).await;
    assert_eq!((post.unwrap().status, server.times()), (503, 1));
    let get = outgoing.send(&request(Method::GET, &server.url), &typed(), Some(&limit)).await;
    assert_eq!((get.unwrap().status, server.times()), (200, 3));

    let server = Server::start([Reply::Status(500, &[]), Reply::Status(500, &[])]).await;
    let post = outgoing.send(&request(Method::POST, &server.url), &typed(), None).await;
    assert_eq!((post.unwrap().status, server.times()), (500, 1));
    let get = outgoing.send(&request(Method::GET, &server.url), &typed(), None).await;
    assert_eq!((get.unwrap().status, server.times()), (200, 3));
}

#[tokio::test]
async fn a_budget_holds_by_its_own_count_and_by_what_answers_say() {
    let server = Server::start([]).await;
    let outgoing = outgoing();
    let limit = budget(json!({ "buckets": [{ "size": 2, "per": "1h" }] }));
    for _ in 0..2 {
        outgoing.send(&request(Method::GET, &server.url), &typed(), Some(&limit)).await.unwrap();
    }
    let third = outgoing.send(&request(Method::GET, &server.url), &typed(), Some(&limit)).await;
    assert!(matches!(third, Err(Error::RateLimited { .. })), "{third:?}");
    assert_eq!(server.times(), 2);

    let last = Reply::Status(200, &[("x-left", "0"), ("x-reset", "60")]);
    let server = Server::start([last]).await;
    let limit = budget(json!({
        "headers": { "remaining": "x-left", "reset": { "header": "x-reset", "in": "seconds" } },
    }));
    outgoing.send(&request(Method::GET, &server.url), &typed(), Some(&limit)).await.unwrap();
    let second = outgoing.send(&request(Method::GET, &server.url), &typed(), Some(&limit)).await;
    match second {
        Err(Error::RateLimited { until, .. }) => {
            assert_eq!(until, "2026-11-25T10:01:00Z".parse().unwrap());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.times(), 1);
}

#[tokio::test]
async fn a_fault_names_the_host_and_nothing_of_the_query() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url =
        format!("http://{}/?token=canary", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);

    let error = outgoing().send(&request(Method::POST, &url), &typed(), None).await.unwrap_err();

    let text = format!("{error} {error:?}");
    assert!(matches!(error, Error::Unreachable { .. }), "{text}");
    assert!(text.contains("127.0.0.1 cannot be reached"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

/// The same server's address of this path below the API's.
fn below(server: &Server, path: &str) -> Url {
    server.url.join(&format!("/v1{path}")).unwrap()
}

fn sending(method: Method, url: &Url, body: &str) -> Request {
    Request { body: (!body.is_empty()).then(|| body.to_owned().into()), ..request(method, url) }
}

#[tokio::test]
async fn a_tier_holds_for_its_calls_and_for_each_value_that_they_carry() {
    let server = Server::start([]).await;
    let outgoing = outgoing();
    let limit = budget(json!({ "tiers": {
        "chat.postMessage": { "size": 1, "per": "1h", "by": ".channel" },
        "GET /lists/*": { "size": 1, "per": "1h", "by": "path" },
    } }));
    let passes = async |method: Method, path: &str, body: &str| {
        let request = sending(method, &below(&server, path), body);
        match outgoing.send(&request, &typed(), Some(&limit)).await {
            Ok(_) => true,
            Err(Error::RateLimited { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    };

    assert!(passes(Method::POST, "/chat.postMessage", r#"{"channel":"C1"}"#).await);
    assert!(!passes(Method::POST, "/chat.postMessage", r#"{"channel":"C1"}"#).await);
    assert!(!passes(Method::POST, "/chat.postMessage", "channel=C1").await);
    assert!(!passes(Method::GET, "/chat.postMessage?channel=C1", "").await);
    assert!(passes(Method::POST, "/chat.postMessage", r#"{"channel":"C2"}"#).await);
    assert!(passes(Method::GET, "/lists/1", "").await);
    assert!(!passes(Method::GET, "/lists/1", "").await);
    assert!(passes(Method::GET, "/lists/2", "").await);
    for _ in 0..3 {
        assert!(passes(Method::GET, "/other", "").await, "no tier is no limit");
    }
    assert_eq!(server.times(), 7);
}

#[tokio::test]
async fn a_bucket_that_an_answer_names_holds_for_its_own_calls() {
    let used_up: &[_] = &[("x-left", "0"), ("x-reset", "60"), ("x-bucket", "b1")];
    let room: &[_] = &[("x-left", "4"), ("x-reset", "60"), ("x-bucket", "b1")];
    let over: &[_] = &[("retry-after", "60")];
    let server = Server::start([
        Reply::Status(200, used_up),
        Reply::Status(200, room),
        Reply::Status(200, room),
        Reply::Status(429, over),
    ])
    .await;
    let outgoing = outgoing();
    let limit = budget(json!({ "headers": {
        "remaining": "x-left", "reset": { "header": "x-reset", "in": "seconds" },
        "bucket": "x-bucket", "segments": 2,
    } }));
    let passes = async |path: &str| {
        let request = request(Method::GET, &below(&server, path));
        outgoing.send(&request, &typed(), Some(&limit)).await.is_ok()
    };

    assert!(passes("/channels/1/messages").await);
    assert!(!passes("/channels/1/messages").await);
    assert!(passes("/channels/2/messages").await, "another channel has another bucket");
    assert!(passes("/channels/2/messages").await);
    assert_eq!(server.times(), 3);
    assert!(!passes("/channels/3/messages").await);
    assert!(!passes("/channels/2/messages").await, "without a bucket it is said of all calls");
    assert_eq!(server.times(), 4);
}

#[tokio::test]
async fn refusals_stop_calls_before_somebody_bans_us() {
    let no = || Reply::Status(401, &[]);
    let server = Server::start([no(), Reply::Status(404, &[]), Reply::Status(403, &[])]).await;
    let outgoing = outgoing();
    let limit = budget(json!({ "refusals": { "statuses": [401, 403], "size": 2, "per": "1h" } }));
    let send = async || {
        let request = request(Method::GET, &server.url);
        outgoing.send(&request, &typed(), Some(&limit)).await.map(|answer| answer.status)
    };

    for status in [401, 404, 403] {
        assert_eq!(send().await.unwrap(), status);
    }
    match send().await {
        Err(Error::RateLimited { until, .. }) => {
            let hour: Timestamp = "2026-11-25T11:00:00Z".parse().unwrap();
            let least = hour - SignedDuration::from_mins(1);
            assert!((least..=hour).contains(&until), "{until}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.times(), 3);
}

#[tokio::test]
async fn so_many_calls_are_under_way_at_once_and_no_more() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    struct Counter {
        now: AtomicUsize,
        most: AtomicUsize,
        came: Semaphore,
        gate: Semaphore,
    }
    let counter = Arc::new(Counter {
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        came: Semaphore::new(0),
        gate: Semaphore::new(0),
    });
    let held = async |State(counter): State<Arc<Counter>>| {
        let now = counter.now.fetch_add(1, Ordering::SeqCst) + 1;
        counter.most.fetch_max(now, Ordering::SeqCst);
        counter.came.add_permits(1);
        counter.gate.acquire().await.unwrap().forget();
        counter.now.fetch_sub(1, Ordering::SeqCst);
    };
    let routes = Router::new()
        .route("/held", axum::routing::get(held))
        .route("/free", axum::routing::get(async || ""))
        .with_state(Arc::clone(&counter));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/held", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let outgoing = outgoing();
    let limit = Arc::new(budget(json!({ "concurrency": 2 })));

    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (outgoing, limit) = (outgoing.clone(), Arc::clone(&limit));
            let request = request(Method::GET, &url);
            tokio::spawn(async move { outgoing.send(&request, &typed(), Some(&limit)).await })
        })
        .collect();
    counter.came.acquire_many(2).await.unwrap().forget();
    // A third would have had time to arrive meanwhile.
    for _ in 0..20 {
        get(&url.join("/free").unwrap(), &typed()).await.unwrap();
    }
    assert_eq!(counter.now.load(Ordering::SeqCst), 2);
    counter.gate.add_permits(5);

    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status, 200);
    }
    assert_eq!(counter.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_says_at_once_and_too_much_again_is_not_asked_again_at_once() {
    let server = Server::start(vec![Reply::Status(429, &[("retry-after", "0")]); 10]).await;

    let answer = outgoing()
        .send(&request(Method::GET, &server.url), &typed(), Some(&budget(json!({}))))
        .await;

    match answer {
        Err(Error::RateLimited { until, .. }) => assert!(until > FixedClock.now(), "{until}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.times(), TRIES as usize);
}

#[tokio::test]
async fn who_says_not_for_a_year_is_looked_at_again_before() {
    let server = Server::start([Reply::Status(429, &[("retry-after", "31536000")])]).await;

    let answer = outgoing()
        .send(&request(Method::GET, &server.url), &typed(), Some(&budget(json!({}))))
        .await;

    match answer {
        Err(Error::RateLimited { until, .. }) => {
            assert_eq!(until, "2026-11-25T10:15:00Z".parse().unwrap());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.times(), 1);
}
