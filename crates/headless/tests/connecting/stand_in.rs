//! A server of somebody else's: it answers as a test says, and keeps every byte that it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// As it came.
    pub(crate) raw: Vec<u8>,
    /// What stands before the `?`.
    pub(crate) path: String,
    /// What stands after it.
    pub(crate) query: String,
    headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The fields of the body, which is a form.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// Reads a request; none where the other side has gone.
    async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut raw = Vec::new();
        let head = loop {
            if let Some(end) = raw.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut raw).await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&raw[..head]).into_owned();
        let mut lines = text.split("\r\n");
        // Its method and its version say nothing here.
        let target = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut asked =
            Self { path: path.to_owned(), query: query.to_owned(), headers, ..Self::default() };
        let length: usize = asked.header("content-length").parse().unwrap_or_default();
        while raw.len() < head + length {
            if stream.read_buf(&mut raw).await.ok()? == 0 {
                return None;
            }
        }
        asked.body = raw[head..].to_vec();
        asked.raw = raw;
        Some(asked)
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    /// Any text.
    pub(crate) fn text(status: u16, kind: &str, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        head.push_str("connection: close\r\n\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// How far it is with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Somebody has connected, and nothing was read.
    Came,
    /// The request was read, and nothing done.
    Read,
    /// What was asked is done, and nothing was answered.
    Done,
    /// The answer was written, to its end.
    Answered,
}

type Answers = dyn Fn(&Asked) -> Answer + Send + Sync;
type Watches = dyn Fn(Point) -> bool + Send + Sync;

/// The server. It ends with its test.
pub(crate) struct StandIn {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts one.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::watched(answer, |_| true).await
    }

    /// Starts one whose test is told of each point of each request, and says whether it goes on.
    pub(crate) async fn watched(
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
        watch: impl Fn(Point) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, watch, noted): (Arc<Answers>, Arc<Watches>, _) =
            (Arc::new(answer), Arc::new(watch), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(
                    stream,
                    Arc::clone(&answer),
                    Arc::clone(&watch),
                    Arc::clone(&noted),
                ));
            }
        });
        Self { url, seen, task }
    }

    /// What came, in its order.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// Its host and port, as the ledger names it.
    pub(crate) fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<Answers>,
    watch: Arc<Watches>,
    seen: Arc<Mutex<Vec<Asked>>>,
) {
    if !watch(Point::Came) {
        return;
    }
    let Some(asked) = Asked::read(&mut stream).await else { return };
    seen.lock().unwrap().push(asked.clone());
    if !watch(Point::Read) {
        return;
    }
    let answer = answer(&asked);
    if !watch(Point::Done) {
        return;
    }
    let _ = stream.write_all(&answer.bytes()).await;
    watch(Point::Answered);
    let _ = stream.shutdown().await;
}
