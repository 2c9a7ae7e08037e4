//! The load: signed webhooks over keep-alive connections, counted when they are acknowledged.
//!
//! It runs in a process of its own and shares the cores with what it measures, so figures are
//! compared within one run and never between machines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use standardwebhooks::Webhook;
use tokio::net::TcpStream;

/// What is sent, where.
pub(crate) struct Load {
    /// The listener.
    pub(crate) address: SocketAddr,
    /// The path of the inbox.
    pub(crate) path: String,
    /// `whsec_…`.
    pub(crate) secret: String,
    /// How many connections send at once, each one request after the other.
    pub(crate) connections: usize,
    /// How large a body is.
    pub(crate) body_bytes: usize,
    /// How long it goes on.
    pub(crate) duration: Duration,
    /// What the ids of this load begin with, so that two loads never repeat each other.
    pub(crate) run: String,
}

/// What came of it.
pub(crate) struct Figures {
    /// Acknowledged requests a second.
    pub(crate) per_second: f64,
    /// Half were acknowledged faster.
    pub(crate) p50: Duration,
    /// One in a hundred took longer.
    pub(crate) p99: Duration,
}

impl Load {
    /// Sends until the time is over. Anything but a 2xx ends it with an error.
    pub(crate) async fn run(self) -> Result<Figures> {
        let load = Arc::new(self);
        let next = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let senders: Vec<_> = (0..load.connections)
            .map(|_| tokio::spawn(send(load.clone(), next.clone(), begun)))
            .collect();

        let mut latencies = Vec::new();
        for sender in senders {
            latencies.extend(sender.await??);
        }
        let took = begun.elapsed();
        ensure!(!latencies.is_empty(), "nothing was acknowledged");
        latencies.sort_unstable();
        Ok(Figures {
            per_second: latencies.len() as f64 / took.as_secs_f64(),
            p50: latencies[latencies.len() / 2],
            p99: latencies[latencies.len() * 99 / 100],
        })
    }

    /// A body of the size that was asked for, different for each number.
    fn body(&self, number: u64) -> String {
        let head = format!(
            r##"{{"type":"order.created","timestamp":"2026-01-01T00:00:00Z","data":{{"id":{number},"number":"#{number}","total":"19.90","currency":"EUR","note":""##
        );
        let filler = self.body_bytes.saturating_sub(head.len() + 3);
        format!("{head}{}\"}}}}", "lorem ipsum ".repeat(filler / 12 + 1).split_at(filler).0)
    }
}

async fn send(load: Arc<Load>, next: Arc<AtomicU64>, begun: Instant) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(load.address).await.context("the listener is not there")?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let signer = Webhook::new(&load.secret)?;

    let mut latencies = Vec::new();
    while begun.elapsed() < load.duration {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let id = format!("msg_{}_{number}", load.run);
        let body = load.body(number);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let now = i64::try_from(now)?;
        let request = Request::post(&load.path)
            .header(header::HOST, load.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signer.sign(&id, now, body.as_bytes())?)
            .body(Full::new(Bytes::from(body)))?;

        let sent = Instant::now();
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        latencies.push(sent.elapsed());
        ensure!(status.is_success(), "the listener answered {status}");
    }
    drop(sender);
    connection.await??;
    Ok(latencies)
}
