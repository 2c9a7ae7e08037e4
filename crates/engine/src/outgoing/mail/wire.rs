//! The bytes between us and a mail server, bounded.
//!
//! What is read is handed on line by line, so that nothing which was sent in the clear lies in a
//! buffer above when the connection becomes encrypted: it is taken for a part of the handshake
//! then, which fails (RFC 3207, section 4.2, and what became of servers that forgot it).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are asked for at once.
const AT_ONCE: usize = 4096;

/// How many lines are handed on.
const LINES: usize = 1000;

/// A stream of which no more than so many bytes are read.
pub(super) struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    left: usize,
    /// How many more lines are handed on: reading an answer of many takes long.
    lines: usize,
    /// Read, and not yet handed on.
    waiting: Vec<u8>,
    at: usize,
}

/// Why nothing more is read.
#[derive(Debug, thiserror::Error)]
#[error("more was said than is listened to")]
pub(super) struct TooMuch;

impl<S> Bounded<S> {
    /// `stream`, which leads to `peer`, for `most` bytes.
    pub(super) fn new(stream: S, peer: SocketAddr, most: usize) -> Self {
        Self { stream, peer, left: most, lines: LINES, waiting: Vec::new(), at: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        if it.at == it.waiting.len() {
            if it.left == 0 {
                return Poll::Ready(Err(io::Error::other(TooMuch)));
            }
            let mut read = [0; AT_ONCE];
            let mut read = ReadBuf::new(&mut read[..AT_ONCE.min(it.left)]);
            ready!(Pin::new(&mut it.stream).poll_read(context, &mut read))?;
            it.left -= read.filled().len();
            it.waiting.clear();
            it.waiting.extend_from_slice(read.filled());
            it.at = 0;
        }
        let rest = &it.waiting[it.at..];
        if it.lines == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let length = line.min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        it.at += length;
        it.lines -= usize::from(rest[..length].ends_with(b"\n"));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Bounded<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

// What passes may be secret.
impl<S> std::fmt::Debug for Bounded<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bounded").field("peer", &self.peer).finish_non_exhaustive()
    }
}
