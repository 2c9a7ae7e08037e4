//! Bodies of strangers: how large, how slow, and how many bytes of them at a time.
//!
//! All bodies in hand share one room, so that a thousand large ones at once wait instead of taking
//! the memory. A body takes room for each piece as it arrives, never for what it announces: who
//! announces much and sends nothing takes nothing. It gives all back when it is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes of all bodies in hand.
const ROOM: usize = 64 * 1024 * 1024;
/// How long a body waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// How long a body may take from its first to its last byte.
const BODY_TIME: Duration = Duration::from_secs(30);
/// The most that is set aside for what a body announces and has not sent.
const TRUST: usize = 256 * 1024;
/// How much of a body that was refused is still taken, so that the sender gets to read the answer.
const DRAIN: usize = 64 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Most bytes of a probe's body.
pub(super) const PROBE_LIMIT: usize = 4 * 1024;

/// A body as a server or a test gives it.
pub(super) trait Incoming:
    axum::body::HttpBody<Data = Bytes, Error: Send> + Send + Unpin + 'static
{
}

impl<B> Incoming for B where
    B: axum::body::HttpBody<Data = Bytes, Error: Send> + Send + Unpin + 'static
{
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has more bytes than it may.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// The connection broke, or its framing is wrong.
    Broken,
    /// No room came free in time.
    NoRoom,
}

/// A whole body, and its place in the room.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// The room that all bodies share. A permit is a byte.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    /// Reads a body whole, if it has at most `limit` bytes.
    pub(super) async fn read<B: Incoming>(&self, mut body: B, limit: usize) -> Result<Read, Fault> {
        let length = body.size_hint().exact();
        if length == Some(0) {
            return Ok(Read { bytes: Bytes::new(), _room: None });
        }
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let read = if length.is_some_and(|length| length > limit) {
            Err(Fault::TooLarge)
        } else {
            timeout(BODY_TIME, self.gather(&mut body, length.unwrap_or(0), limit))
                .await
                .unwrap_or(Err(Fault::TooSlow))
        };
        if matches!(read, Err(Fault::TooLarge)) {
            tokio::spawn(timeout(DRAIN_TIME, drain(body)));
        }
        read
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Fault> {
        let bytes = u32::try_from(bytes).map_err(|_| Fault::TooLarge)?;
        if let Ok(place) = self.0.clone().try_acquire_many_owned(bytes) {
            return Ok(place);
        }
        let place = timeout(ROOM_PATIENCE, self.0.clone().acquire_many_owned(bytes)).await;
        place.ok().and_then(Result::ok).ok_or(Fault::NoRoom)
    }

    async fn gather<B: Incoming>(
        &self,
        body: &mut B,
        expected: usize,
        limit: usize,
    ) -> Result<Read, Fault> {
        let Some(first) = next(body).await? else {
            return Ok(Read { bytes: Bytes::new(), _room: None });
        };
        if first.len() > limit {
            return Err(Fault::TooLarge);
        }
        let mut place = self.take(first.len()).await?;
        // Most bodies come in one piece, and are not copied.
        if first.len() == expected || body.is_end_stream() {
            return Ok(Read { bytes: first, _room: Some(place) });
        }
        let mut whole =
            BytesMut::with_capacity(expected.clamp(first.len(), TRUST.max(first.len())));
        whole.extend_from_slice(&first);
        drop(first);
        while let Some(bytes) = next(body).await? {
            if whole.len() + bytes.len() > limit {
                return Err(Fault::TooLarge);
            }
            place.merge(self.take(bytes.len()).await?);
            whole.extend_from_slice(&bytes);
        }
        Ok(Read { bytes: whole.freeze(), _room: Some(place) })
    }
}

/// The next bytes of a body; trailers are no bytes.
async fn next<B: Incoming>(body: &mut B) -> Result<Option<Bytes>, Fault> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Fault::Broken),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// Takes what still comes, so that the answer is read before the connection ends.
async fn drain<B: Incoming>(mut body: B) {
    let mut taken = 0;
    while taken < DRAIN {
        match next(&mut body).await {
            Ok(Some(bytes)) => taken += bytes.len(),
            Ok(None) | Err(_) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;

    const LIMIT: usize = 100_000;

    fn pieces(sizes: &[usize]) -> impl Incoming + use<> {
        let frames: Vec<_> = sizes
            .iter()
            .map(|&size| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'a'; size]))))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    /// A body that says that all of the limit is still to come.
    struct Announced<B>(B);

    impl<B: axum::body::HttpBody<Data = Bytes> + Unpin> axum::body::HttpBody for Announced<B> {
        type Data = Bytes;
        type Error = B::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, B::Error>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(cx)
        }

        fn size_hint(&self) -> hyper::body::SizeHint {
            hyper::body::SizeHint::with_exact(LIMIT as u64)
        }
    }

    async fn check(body: impl Incoming) -> Result<usize, Fault> {
        Room::default().read(body, LIMIT).await.map(|read| read.bytes.len())
    }

    #[tokio::test]
    async fn a_body_may_have_as_many_bytes_as_the_limit() {
        assert_eq!(check(Full::new(Bytes::from(vec![0; LIMIT]))).await, Ok(LIMIT));
        assert_eq!(check(Full::new(Bytes::from(vec![0; LIMIT + 1]))).await, Err(Fault::TooLarge));
        assert_eq!(check(pieces(&[LIMIT])).await, Ok(LIMIT));
        assert_eq!(check(pieces(&[LIMIT + 1])).await, Err(Fault::TooLarge));
        assert_eq!(check(pieces(&[60_000, 40_000])).await, Ok(LIMIT));
        assert_eq!(check(pieces(&[60_000, 40_001])).await, Err(Fault::TooLarge));
        assert_eq!(check(pieces(&[])).await, Ok(0));
    }

    #[tokio::test]
    async fn room_comes_back_with_the_body() {
        let room = Room::default();
        let read = room.read(pieces(&[70_000, 10]), LIMIT).await.unwrap();
        assert_eq!(room.0.available_permits(), ROOM - 70_010);

        drop(read);

        assert_eq!(room.0.available_permits(), ROOM);
    }

    #[tokio::test(start_paused = true)]
    async fn who_announces_much_and_sends_nothing_takes_no_room() {
        let room = Room::default();
        let pending = stream::pending::<Result<Frame<Bytes>, Infallible>>().boxed();
        let silent = StreamBody::new(pending);
        let reading = tokio::spawn({
            let room = room.clone();
            async move { room.read(Announced(silent), LIMIT).await.err() }
        });
        tokio::task::yield_now().await;

        assert_eq!(room.0.available_permits(), ROOM);
        assert_eq!(reading.await.unwrap(), Some(Fault::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_room_or_without_end_is_given_up() {
        let room = Room::default();
        let all = room.take(ROOM).await.unwrap();
        let full = room.read(Full::new(Bytes::from_static(b"a")), LIMIT).await.err();
        drop(all);
        let endless =
            StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>().boxed());
        let slow = room.read(endless, LIMIT).await.err();

        assert_eq!(full, Some(Fault::NoRoom));
        assert_eq!(slow, Some(Fault::TooSlow));
    }
}
