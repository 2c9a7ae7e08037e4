//! A provider that sends its events over sockets which its users open: a real server on loopback,
//! whose side of each socket is the test's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// The provider.
pub(crate) struct Chat {
    books: Arc<Books>,
    opened: mpsc::UnboundedReceiver<WebSocketStream<TokioIo<Upgraded>>>,
}

struct Books {
    url: String,
    /// What is answered in place of an address.
    answer: Mutex<Option<Value>>,
    /// Who asked for an address: the `authorization` of each.
    asked: Mutex<Vec<String>>,
    opened: mpsc::UnboundedSender<WebSocketStream<TokioIo<Upgraded>>>,
    tickets: AtomicUsize,
}

impl Chat {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, opened) = mpsc::unbounded_channel();
        let books = Arc::new(Books {
            url,
            answer: Mutex::default(),
            asked: Mutex::default(),
            opened: sender,
            tickets: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/me", get(async || axum::Json(json!({ "ok": true, "team": "Acme" }))))
            .route("/connections.open", post(open))
            .route("/link", get(link))
            .with_state(Arc::clone(&books));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { books, opened }
    }

    /// Where its API is.
    pub(crate) fn url(&self) -> &str {
        &self.books.url
    }

    /// What it answers from now on to whoever asks for an address.
    pub(crate) fn answers(&self, answer: impl Into<Option<Value>>) {
        *self.books.answer.lock().unwrap() = answer.into();
    }

    /// Who has asked for an address so far: what each showed.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.books.asked.lock().unwrap().clone()
    }

    /// The next socket that is opened.
    pub(crate) async fn line(&mut self) -> Line {
        let opened = timeout(PATIENCE, self.opened.recv()).await.expect("a socket is opened");
        Line(opened.expect("the server runs"))
    }

    /// The next socket that is opened, once events may come over it.
    pub(crate) async fn ready(&mut self) -> Line {
        let mut line = self.line().await;
        line.say(json!({ "type": "hello", "num_connections": 1 })).await;
        line
    }

    /// Whether a socket is opened that nobody has looked at.
    pub(crate) fn is_idle(&self) -> bool {
        self.opened.is_empty()
    }
}

async fn open(State(books): State<Arc<Books>>, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    books.asked.lock().unwrap().push(shown.unwrap_or_default().to_owned());
    if let Some(answer) = books.answer.lock().unwrap().clone() {
        let status = answer["status"].as_u64().map_or(200, |it| it as u16);
        return (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response();
    }
    let ticket = books.tickets.fetch_add(1, Ordering::Relaxed);
    let url = format!("{}/link?ticket=secret-{ticket}", books.url.replace("http://", "ws://"));
    axum::Json(json!({ "ok": true, "url": url })).into_response()
}

async fn link(State(books): State<Arc<Books>>, mut request: Request) -> Response {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let Some(key) = key.filter(|_| request.headers()[header::UPGRADE] == "websocket") else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    assert!(!request.headers().contains_key(header::AUTHORIZATION), "it is given nothing");
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgraded.await.unwrap());
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        // Whoever no longer looks is not interested.
        let _ = books.opened.send(socket);
    });
    let accept = derive_accept_key(key.as_bytes());
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The provider's side of a socket. Dropping it takes it away without a word.
pub(crate) struct Line(WebSocketStream<TokioIo<Upgraded>>);

impl Line {
    /// Sends JSON.
    pub(crate) async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends any message.
    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("the socket is open");
    }

    /// Sends as much of a message as the other side takes.
    pub(crate) async fn try_send(&mut self, message: Message) {
        // It may close while this is still being sent.
        let _ = self.0.send(message).await;
    }

    /// Sends an event in an envelope.
    pub(crate) async fn tell(&mut self, envelope: &str, id: &str) {
        self.send(Message::text(event(envelope, id))).await;
    }

    /// What comes next, whatever it is; none where it is over.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let next = timeout(PATIENCE, self.0.next()).await.expect("something comes");
        next.and_then(|it| it.inspect_err(|error| eprintln!("{error:?}")).ok())
    }

    /// The next text, as JSON.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.next().await.expect("the socket is open") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} came in place of a text"),
            }
        }
    }

    /// With which code it is closed; 0 where that is done without a word.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                None => return 0,
                Some(Message::Close(frame)) => return frame.map_or(1005, |it| it.code.into()),
                Some(_) => {}
            }
        }
    }
}

/// An event in its envelope, as it is written.
pub(crate) fn event(envelope: &str, id: &str) -> String {
    format!(r#"{{"envelope_id":"{envelope}","type":"events_api","payload":{}}}"#, payload(id))
}

/// The event itself.
pub(crate) fn payload(id: &str) -> String {
    format!(
        r#"{{ "event_id": "{id}", "event": {{"type":"message","text":"Order {id}","n":1.0}} }}"#
    )
}
