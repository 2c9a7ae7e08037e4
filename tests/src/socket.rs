//! Requests as bytes on a socket, for what no well-behaved client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// What came back: the status, and everything as text.
#[derive(Debug)]
pub struct Reply {
    /// The status; 0 where there was no answer.
    pub status: u16,
    /// Head and body.
    pub text: String,
}

impl Reply {
    /// What stands after the head.
    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// The address of a listener.
///
/// # Panics
///
/// When the URL has none.
pub fn address(url: &Url) -> SocketAddr {
    url.socket_addrs(|| None).expect("an address")[0]
}

/// Sends text as it is, and reads until the other side closes. Lines end as they are written here;
/// the head gets a `connection: close`.
///
/// # Panics
///
/// When nobody listens.
pub async fn exchange(address: SocketAddr, head: &[&str], body: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    let text = format!("{}\r\nconnection: close\r\n\r\n{body}", head.join("\r\n"));
    stream.write_all(text.as_bytes()).await.expect("a connection");
    let mut bytes = Vec::new();
    // A reset after the answer is still an answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default();
    Reply { status, text }
}
