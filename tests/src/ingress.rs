//! The door for strangers: `/in/{key}`, and nothing else.

use engine::clock::Clock;
use http::{Method, Request, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::TestApp;
use crate::app::signed;
use crate::socket::{address, exchange};

/// The refusals, newest first, once there are so many.
async fn refusals(app: &TestApp, count: usize) -> Vec<Value> {
    app.until("a refusal", async |app| {
        let list = app.read("/api/refusals").await;
        let refusals = list["refusals"].as_array().unwrap();
        (refusals.len() == count).then(|| refusals.clone())
    })
    .await
}

/// Sends a request that must be refused, as the first or second or … one, and says how that was
/// answered and noted.
async fn refused(
    app: &TestApp,
    count: usize,
    request: Request<axum::body::Body>,
) -> (StatusCode, usize, String) {
    let answer = app.knock(request).await;
    let refusal = refusals(app, count).await.remove(0);
    let reason = refusal["reason"].as_str().unwrap().to_owned();
    assert!(refusal["hint"].as_str().is_some_and(|hint| hint.ends_with('.')), "{refusal}");
    (answer.status, answer.body.len(), reason)
}

#[tokio::test]
async fn there_is_nothing_outside_of_the_inboxes() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let ingress = address(app.ingress_url());
    let below = format!("GET {}/more", inbox.path);

    for line in [
        "GET /",
        "GET /in",
        "GET /in/",
        "POST /in/00000000000000000000000000",
        "GET /api/health",
        "POST /api/login",
        "GET /api/events",
        "GET /oauth/callback?code=1&state=2",
        "GET /../api/health",
        "GET /%69n/00000000000000000000000000",
        "GET /index.html",
        &below,
    ] {
        let reply = exchange(ingress, &[&format!("{line} HTTP/1.1"), "host: x"], "").await;
        assert_eq!(reply.status, 404, "{line}");
        assert_eq!(reply.body(), "", "{line}");
        let head = reply.text.to_lowercase();
        assert!(!head.contains("patchbay") && !head.contains("server:"), "{head}");
    }
}

#[tokio::test]
async fn who_knocks_at_unknown_doors_is_counted_in_one_row() {
    let app = TestApp::start().await;
    let knock = || Request::get("/wp-login.php").body(axum::body::Body::empty()).unwrap();

    for _ in 0..3 {
        app.knock(knock()).await;
    }

    let row = app
        .until("the third knock", async |app| {
            let list = app.read("/api/refusals").await;
            list["refusals"].as_array()?.iter().find(|row| row["times"] == 3).cloned()
        })
        .await;
    assert_eq!(row["reason"], "unknown_path");
    assert_eq!(app.read("/api/refusals/count").await["count"], 0);
}

#[tokio::test]
async fn every_refusal_has_its_status_and_nothing_else() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let now = app.clock.now();
    let sent = |change: fn(&mut Request<axum::body::Body>)| {
        let mut request = signed(&inbox, "msg_1", "{}", now);
        change(&mut request);
        request
    };

    let unsigned =
        refused(&app, 1, sent(|it| drop(it.headers_mut().remove("webhook-signature")))).await;
    let wrong = refused(&app, 2, sent(|it| *it.body_mut() = "{ }".into())).await;
    let malformed = refused(&app, 3, {
        sent(|it| drop(it.headers_mut().insert("webhook-timestamp", "soon".parse().unwrap())))
    })
    .await;
    let method = refused(&app, 4, sent(|it| *it.method_mut() = Method::GET)).await;
    let old = signed(&inbox, "msg_1", "{}", now - SignedDuration::from_secs(301));
    let stale = refused(&app, 5, old).await;

    assert_eq!(unsigned, (StatusCode::UNAUTHORIZED, 0, "unsigned".to_owned()));
    assert_eq!(wrong, (StatusCode::UNAUTHORIZED, 0, "wrong_signature".to_owned()));
    assert_eq!(malformed, (StatusCode::UNAUTHORIZED, 0, "malformed".to_owned()));
    assert_eq!(method, (StatusCode::METHOD_NOT_ALLOWED, 0, "method".to_owned()));
    assert_eq!(stale, (StatusCode::UNAUTHORIZED, 0, "stale".to_owned()));
    assert_eq!(app.read("/api/events/count").await, json!({ "count": 0, "exact": true }));
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes_and_no_longer() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    let request = |id: &str| signed(&inbox, id, "{}", app.clock.now());
    let (first, second) = (request("msg_1"), request("msg_2"));

    app.clock.advance(SignedDuration::from_secs(300));
    let in_time = app.knock(first).await;
    app.clock.advance(SignedDuration::from_secs(1));
    let too_late = app.knock(second).await;

    assert!(in_time.status.is_success(), "{}", in_time.status);
    assert_eq!(too_late.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_body_of_more_than_25_mb_is_refused_before_it_is_read() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let ingress = address(app.ingress_url());
    let line = format!("POST {} HTTP/1.1", inbox.path);
    let length = format!("content-length: {}", api::ingress::BODY_LIMIT + 1);
    let mut stream = TcpStream::connect(ingress).await.unwrap();

    // Not one byte of the body is sent.
    let head = format!("{line}\r\nhost: x\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();

    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(refusals(&app, 1).await[0]["reason"], "too_large");
}

#[tokio::test]
async fn a_refusal_says_that_this_computer_asked_itself_and_believes_no_header_about_it() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let ingress = address(app.ingress_url());
    let line = format!("DELETE {} HTTP/1.1", inbox.path);

    exchange(ingress, &[&line, &format!("host: {ingress}")], "").await;
    let told = refusals(&app, 1).await;
    exchange(ingress, &[&line, "host: hooks.example.com", "x-real-ip: 203.0.113.9"], "").await;
    let proxied = refusals(&app, 2).await;

    assert_eq!(told[0]["address"], "127.0.0.1");
    assert!(proxied[0]["address"].is_null(), "{}", proxied[0]);
}

#[tokio::test]
async fn a_body_of_25_mb_is_taken() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let body = "a".repeat(api::ingress::BODY_LIMIT);

    let answer = app.knock(Request::post(&inbox.path).body(body.into()).unwrap()).await;

    assert!(answer.status.is_success(), "{}", answer.status);
    let events = app.read("/api/events").await;
    assert_eq!(events["events"][0]["size_bytes"], api::ingress::BODY_LIMIT);
}

#[tokio::test]
async fn a_sender_who_goes_on_sending_too_much_still_reads_the_answer() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let url = app.ingress_url().join(&inbox.path).unwrap();
    let body = vec![b'a'; api::ingress::BODY_LIMIT + 1_000_000];

    let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();

    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_one_after_the_other() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let ingress = address(app.ingress_url());
    let one = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}", inbox.path);
    let none = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(ingress).await.unwrap();

    stream.write_all(format!("{one}{one}{none}").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();

    let statuses: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")).map(|it| &it[..3]).collect();
    assert_eq!(statuses[2], "404");
    assert!(statuses[..2].iter().all(|status| status.starts_with('2')), "{statuses:?}");
    assert_eq!(app.read("/api/events/count").await["count"], 2);
}

#[tokio::test]
async fn a_chunked_body_is_taken_whole() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let line = format!("POST {} HTTP/1.1", inbox.path);
    let head = [line.as_str(), "host: x", "transfer-encoding: chunked"];

    let reply =
        exchange(address(app.ingress_url()), &head, "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n").await;

    assert_eq!(reply.status / 100, 2, "{}", reply.text);
    let events = app.read("/api/events").await;
    let id = events["events"][0]["id"].as_str().unwrap();
    assert_eq!(&app.get(&format!("/api/events/{id}/body")).await.body[..], b"{\"a\":1}");
}

#[tokio::test]
async fn garbage_is_answered_and_hurts_nobody() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let ingress = address(app.ingress_url());
    let long = format!("x-long: {}", "a".repeat(70_000));
    let many: Vec<String> = (0..150).map(|number| format!("x-{number}: 1")).collect();
    let line = format!("POST {} HTTP/1.1", inbox.path);

    let nonsense = exchange(ingress, &["\u{1}\u{2}nonsense"], "").await;
    let large_head = exchange(ingress, &[&line, "host: x", &long], "").await;
    let many_headers: Vec<_> =
        [line.as_str(), "host: x"].into_iter().chain(many.iter().map(String::as_str)).collect();
    let many_headers = exchange(ingress, &many_headers, "").await;
    let broken_chunks =
        exchange(ingress, &[&line, "host: x", "transfer-encoding: chunked"], "zz\r\n").await;

    assert_eq!(nonsense.status, 400);
    assert_eq!(large_head.status, 431);
    assert_eq!(many_headers.status, 431);
    assert!(broken_chunks.status == 400 || broken_chunks.status == 0, "{}", broken_chunks.text);
    assert!(app.send(&inbox, "msg_1", "{}").await.status.is_success());
}

#[tokio::test]
async fn a_token_that_comes_while_nothing_can_be_compared_with_it_is_shown_nowhere() {
    let app = TestApp::start().await;
    let body = json!({
        "name": "Till", "connector": "any",
        "settings": { "proof": "token", "signature": "x-shop-check" },
        "secrets": { "signing_secret": "canary-of-the-till" },
    });
    let made = app.post("/api/inboxes", body).await.json();
    let local = made["local_url"].as_str().unwrap();
    app.vault.lock(true);

    let client = reqwest::Client::new();
    for url in [local, &format!("{local}x")] {
        let knock = client.post(url).header("x-shop-check", "canary-of-the-till").body("{}");
        assert!(!knock.send().await.unwrap().status().is_success());
    }

    let noted = async |app: &TestApp| {
        let refusals = app.read("/api/refusals").await["refusals"].as_array().unwrap().clone();
        (refusals.len() == 2).then_some(refusals)
    };
    for refusal in app.until("both refusals", noted).await {
        let path = format!("/api/refusals/{}", refusal["id"].as_str().unwrap());
        let shown = app.read(&path).await.to_string();
        assert!(shown.contains("x-shop-check"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn a_vault_that_is_locked_later_stops_nothing() {
    let app = TestApp::start().await;
    let inbox = app.inbox("standard-webhooks").await;
    app.send(&inbox, "msg_1", "{}").await;

    app.vault.lock(true);
    let answer = app.send(&inbox, "msg_2", "{}").await;

    assert!(answer.status.is_success());
    assert_eq!(app.read("/api/events").await["events"][0]["proof"], "verified");
}

#[tokio::test]
async fn what_is_no_request_is_noted_with_its_likely_cause() {
    let app = TestApp::start().await;
    let ingress = address(app.ingress_url());
    let head =
        |header: &[u8]| [b"POST /in/x HTTP/1.1\r\nhost: x\r\n", header, b"\r\n\r\n"].concat();
    let many: String = (0..120).map(|n| format!("x-{n}: a\r\n")).collect();
    let hello =
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), vec![b'a'; 200]].concat();

    for bytes in [
        head(format!("x-a: {}", "a".repeat(70_000)).as_bytes()),
        head(many.trim_end().as_bytes()),
        head(b"content-length: 4\r\ncontent-length: 5"),
        head(b"x-a: a\0b"),
        b"POST /in/x?\xff\xfe\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        hello.clone(),
        hello,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
    ] {
        let mut stream = TcpStream::connect(ingress).await.unwrap();
        // It may be refused before all of it is sent.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }

    let mut noted = app
        .until("eight refusals", async |app| {
            let list = app.read("/api/refusals").await;
            let rows = list["refusals"].as_array()?.clone();
            let times = rows.iter().filter_map(|row| row["times"].as_u64());
            (times.sum::<u64>() == 8).then_some(rows)
        })
        .await
        .into_iter()
        .map(|row| {
            assert_eq!(row["reason"], "malformed");
            (row["times"].as_u64().unwrap(), row["message"].as_str().unwrap().to_owned())
        })
        .collect::<Vec<_>>();
    noted.sort();
    let message = |start: &str| {
        noted.iter().find(|(_, message)| message.starts_with(start)).map_or(0, |(times, _)| *times)
    };
    assert_eq!(message("https was spoken"), 2, "{noted:?}");
    assert_eq!(message("HTTP/2 was spoken"), 1, "{noted:?}");
    assert_eq!(message("the address or the headers"), 2, "{noted:?}");
    assert_eq!(message("it is not a request"), 3, "{noted:?}");
    // Nobody's inbox has refused anything.
    assert_eq!(app.read("/api/refusals/count").await["count"], 0);
}

#[tokio::test]
async fn three_who_stop_in_the_middle_of_large_bodies_keep_nobody_out() {
    let app = TestApp::start().await;
    let inbox = app.inbox("any").await;
    let ingress = address(app.ingress_url());
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(ingress).await.unwrap();
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\n", inbox.path);
        let head = format!("{head}content-length: {}\r\n\r\n", api::ingress::BODY_LIMIT);
        stream.write_all(head.as_bytes()).await.unwrap();
        stalled.push(tokio::spawn(async move {
            // Where it is not taken, it stays with us.
            let _ = stream.write_all(&vec![b'a'; 21 * 1024 * 1024]).await;
            stream
        }));
    }
    // One is taken at least; it goes on holding what it sent.
    let (_first, _, _others) = futures::future::select_all(stalled).await;

    let body = format!("\"{}\"", "b".repeat(900_000));
    for _ in 0..3 {
        let post = format!("POST {} HTTP/1.1", inbox.path);
        let length = format!("content-length: {}", body.len());
        let reply = exchange(ingress, &[&post, "host: x", &length], &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}
