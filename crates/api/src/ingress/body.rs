//! Bodies of strangers: how large, how slow, and how many bytes of them at a time.
//!
//! All bodies in hand share one room, so that a thousand large ones at once wait instead of taking
//! the memory. A body takes room for each piece as it arrives, never for what it announces: who
//! announces much and sends nothing takes nothing. It gives all back when it is answered.
//!
//! Whoever knows the address of one inbox must not be able to shut the others, so an inbox has at
//! most half of the room, one large body of it is read at a time, and a part of the room is kept
//! for small bodies. Who holds room has to go on sending.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of all bodies in hand.
const ROOM: usize = 64 * 1024 * 1024;
/// How much of it is kept for bodies that announce to be small.
const RESERVE: usize = 8 * 1024 * 1024;
/// Most bytes of a small body.
const SMALL: usize = 1024 * 1024;
/// How long a body waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// How long a large body waits for another one of its inbox.
const TURN_PATIENCE: Duration = Duration::from_secs(10);
/// How long a body may take from its first to its last byte.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Whoever holds more than this has to send [`STRETCH`] in each [`STRETCH_TIME`]: 64 KiB a second.
const UNHURRIED: usize = 64 * 1024;
const STRETCH: usize = 320 * 1024;
const STRETCH_TIME: Duration = Duration::from_secs(5);
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
    _room: Vec<Place>,
}

/// The room that all bodies share.
#[derive(Clone)]
pub(super) struct Room {
    common: Arc<Pool>,
    reserve: Arc<Pool>,
    turns: Arc<Turns>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            common: Arc::new(Pool::new(ROOM - RESERVE)),
            reserve: Arc::new(Pool::new(RESERVE)),
            turns: Arc::default(),
        }
    }
}

/// A part of the room, of which each inbox may have half. A permit is a byte.
struct Pool {
    all: Arc<Semaphore>,
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
    share: usize,
}

/// Bytes of a pool, and of an inbox's share in it.
struct Place {
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl Place {
    fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        self.share.merge(other.share);
    }
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let all = Arc::new(Semaphore::new(bytes));
        Self { all, shares: Mutex::default(), share: bytes / 2 }
    }

    fn share(&self, inbox: &str) -> Arc<Semaphore> {
        shared(&self.shares, inbox, self.share)
    }

    fn try_take(&self, inbox: &str, bytes: u32) -> Option<Place> {
        let share = self.share(inbox).try_acquire_many_owned(bytes).ok()?;
        let all = self.all.clone().try_acquire_many_owned(bytes).ok()?;
        Some(Place { all, share })
    }

    async fn take(&self, inbox: &str, bytes: u32) -> Option<Place> {
        // Its own share first: an inbox that waits for itself keeps nobody else waiting.
        let share = self.share(inbox).acquire_many_owned(bytes).await.ok()?;
        let all = self.all.clone().acquire_many_owned(bytes).await.ok()?;
        Some(Place { all, share })
    }
}

/// One at a time of each inbox. Two large bodies that each wait for the room that the other holds
/// would both be turned away.
#[derive(Default)]
struct Turns(Mutex<HashMap<String, Weak<Semaphore>>>);

impl Turns {
    async fn take(&self, inbox: &str) -> Result<OwnedSemaphorePermit, Fault> {
        let turn = shared(&self.0, inbox, 1).acquire_owned();
        timeout(TURN_PATIENCE, turn).await.ok().and_then(Result::ok).ok_or(Fault::NoRoom)
    }
}

/// An inbox's semaphore; it lives as long as somebody holds or awaits a permit of it.
fn shared(
    of: &Mutex<HashMap<String, Weak<Semaphore>>>,
    inbox: &str,
    permits: usize,
) -> Arc<Semaphore> {
    let mut of = of.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = of.get(inbox).and_then(Weak::upgrade) {
        return there;
    }
    of.retain(|_, one| one.strong_count() > 0);
    let new = Arc::new(Semaphore::new(permits));
    of.insert(inbox.to_owned(), Arc::downgrade(&new));
    new
}

/// What one body takes of the room, and how fast it has to go on.
struct Taking<'a> {
    room: &'a Room,
    inbox: &'a str,
    small: bool,
    common: Option<Place>,
    reserved: Option<Place>,
    turn: Option<OwnedSemaphorePermit>,
    bytes: usize,
    /// By when [`STRETCH`] bytes more have to be here, and how many of them are still to come.
    due: Option<(Instant, usize)>,
}

impl Taking<'_> {
    async fn next<B: Incoming>(&self, body: &mut B) -> Result<Option<Bytes>, Fault> {
        match self.due {
            Some((by, _)) => timeout_at(by, next(body)).await.unwrap_or(Err(Fault::TooSlow)),
            None => next(body).await,
        }
    }

    async fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        let began = Instant::now();
        self.bytes += bytes;
        if self.bytes > SMALL && self.turn.is_none() {
            self.turn = Some(self.room.turns.take(self.inbox).await?);
        }
        self.place(u32::try_from(bytes).map_err(|_| Fault::TooLarge)?).await?;

        let anew = (Instant::now() + STRETCH_TIME, STRETCH);
        self.due = match self.due {
            _ if self.bytes <= UNHURRIED => None,
            None => Some(anew),
            Some((_, left)) if bytes >= left => Some(anew),
            // What was spent on waiting for room is not the sender's.
            Some((by, left)) => Some((by + began.elapsed(), left - bytes)),
        };
        Ok(())
    }

    async fn place(&mut self, bytes: u32) -> Result<(), Fault> {
        let Room { common, reserve, .. } = self.room;
        if let Some(place) = common.try_take(self.inbox, bytes) {
            put(&mut self.common, place);
            return Ok(());
        }
        if self.small
            && let Some(place) = reserve.try_take(self.inbox, bytes)
        {
            put(&mut self.reserved, place);
            return Ok(());
        }
        let place = timeout(ROOM_PATIENCE, common.take(self.inbox, bytes)).await;
        put(&mut self.common, place.ok().flatten().ok_or(Fault::NoRoom)?);
        Ok(())
    }

    fn read(self, bytes: Bytes) -> Read {
        Read { bytes, _room: self.common.into_iter().chain(self.reserved).collect() }
    }
}

fn put(held: &mut Option<Place>, more: Place) {
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
}

impl Room {
    /// Reads a body whole, if it has at most `limit` bytes, in the share of `inbox`.
    pub(super) async fn read<B: Incoming>(
        &self,
        mut body: B,
        limit: usize,
        inbox: &str,
    ) -> Result<Read, Fault> {
        let length = body.size_hint().exact();
        if length == Some(0) {
            return Ok(Read { bytes: Bytes::new(), _room: Vec::new() });
        }
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let read = if length.is_some_and(|length| length > limit) {
            Err(Fault::TooLarge)
        } else {
            let taking = Taking {
                room: self,
                inbox,
                small: length.is_some_and(|length| length <= SMALL),
                common: None,
                reserved: None,
                turn: None,
                bytes: 0,
                due: None,
            };
            timeout(BODY_TIME, gather(taking, &mut body, length.unwrap_or(0), limit))
                .await
                .unwrap_or(Err(Fault::TooSlow))
        };
        if matches!(read, Err(Fault::TooLarge)) {
            tokio::spawn(timeout(DRAIN_TIME, drain(body)));
        }
        read
    }

    #[cfg(test)]
    fn free(&self) -> usize {
        self.common.all.available_permits() + self.reserve.all.available_permits()
    }
}

async fn gather<B: Incoming>(
    mut taking: Taking<'_>,
    body: &mut B,
    expected: usize,
    limit: usize,
) -> Result<Read, Fault> {
    let Some(first) = taking.next(body).await? else { return Ok(taking.read(Bytes::new())) };
    if first.len() > limit {
        return Err(Fault::TooLarge);
    }
    taking.take(first.len()).await?;
    // Most bodies come in one piece, and are not copied.
    if first.len() == expected || body.is_end_stream() {
        return Ok(taking.read(first));
    }
    let mut whole = BytesMut::with_capacity(expected.clamp(first.len(), TRUST.max(first.len())));
    whole.extend_from_slice(&first);
    drop(first);
    while let Some(bytes) = taking.next(body).await? {
        if whole.len() + bytes.len() > limit {
            return Err(Fault::TooLarge);
        }
        taking.take(bytes.len()).await?;
        whole.extend_from_slice(&bytes);
    }
    Ok(taking.read(whole.freeze()))
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
        Room::default().read(body, LIMIT, "a").await.map(|read| read.bytes.len())
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
        let read = room.read(pieces(&[70_000, 10]), LIMIT, "a").await.unwrap();
        assert_eq!(room.free(), ROOM - 70_010);

        drop(read);

        assert_eq!(room.free(), ROOM);
    }

    #[tokio::test(start_paused = true)]
    async fn who_announces_much_and_sends_nothing_takes_no_room() {
        let room = Room::default();
        let pending = stream::pending::<Result<Frame<Bytes>, Infallible>>().boxed();
        let silent = StreamBody::new(pending);
        let reading = tokio::spawn({
            let room = room.clone();
            async move { room.read(Announced(silent), LIMIT, "a").await.err() }
        });
        tokio::task::yield_now().await;

        assert_eq!(room.free(), ROOM);
        assert_eq!(reading.await.unwrap(), Some(Fault::TooSlow));
    }

    /// A body of these pieces that then says nothing more, and how much of it was asked for.
    fn stalls(sizes: &[usize]) -> impl Incoming + use<> {
        let frames: Vec<_> = sizes
            .iter()
            .map(|&size| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'a'; size]))))
            .collect();
        StreamBody::new(stream::iter(frames).chain(stream::pending()).boxed())
    }

    /// Reads a body on a task of its own, until it has taken all that comes.
    async fn begin(
        room: &Room,
        body: impl Incoming,
        inbox: &'static str,
    ) -> tokio::task::JoinHandle<Option<Fault>> {
        let room = room.clone();
        let reading = async move { room.read(body, crate::ingress::BODY_LIMIT, inbox).await.err() };
        let reading = tokio::spawn(reading);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        reading
    }

    const MIB: usize = 1024 * 1024;

    #[tokio::test(start_paused = true)]
    async fn a_body_without_room_or_without_end_is_given_up() {
        let room = Room::default();
        let all = room.common.all.clone().acquire_many_owned((ROOM - RESERVE) as u32).await;
        let unannounced = room.read(pieces(&[1, 1]), LIMIT, "a").await.err();
        let small = room.read(Full::new(Bytes::from_static(b"a")), LIMIT, "a").await.err();
        drop(all);
        let slow = room.read(stalls(&[]), LIMIT, "a").await.err();

        assert_eq!(unannounced, Some(Fault::NoRoom));
        assert_eq!(small, None, "a part is kept for those who say that they are small");
        assert_eq!(slow, Some(Fault::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_of_one_inbox_leave_room_for_others_and_for_small_ones() {
        let room = Room::default();
        let mut stalled = Vec::new();
        for _ in 0..3 {
            stalled.push(begin(&room, stalls(&[MIB; 21]), "a").await);
        }
        // The second and third wait for their turn with a MiB each.
        assert!(room.free() >= ROOM - 24 * MIB, "{}", room.free());

        let small = |bytes: usize| Full::new(Bytes::from(vec![b'a'; bytes]));
        let began = Instant::now();
        for inbox in ["a", "b"] {
            assert_eq!(room.read(small(900_000), 2 * MIB, inbox).await.err(), None, "{inbox}");
        }
        let large = room.read(pieces(&[MIB; 20]), crate::ingress::BODY_LIMIT, "b").await;
        assert_eq!(large.err(), None);
        assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
        for stalled in stalled {
            assert!(matches!(stalled.await.unwrap(), Some(Fault::TooSlow | Fault::NoRoom)));
        }
        assert_eq!(room.free(), ROOM);
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_room_has_to_go_on_sending() {
        let began = Instant::now();
        let room = Room::default();
        assert_eq!(room.read(stalls(&[MIB]), LIMIT * 20, "a").await.err(), Some(Fault::TooSlow));
        assert_eq!(began.elapsed(), STRETCH_TIME);

        let dripping = |size: usize, pause: Duration| {
            let pieces = stream::unfold(0, move |sent| async move {
                tokio::time::sleep(pause).await;
                (sent < 20).then(|| {
                    (Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'a'; size]))), sent + 1)
                })
            });
            StreamBody::new(pieces.boxed())
        };
        let second = Duration::from_secs(1);
        let enough = room.read(dripping(80 * 1024, second), 2 * MIB, "a").await.err();
        let little = room.read(dripping(40 * 1024, second), 2 * MIB, "a").await.err();
        let short = room.read(dripping(2 * 1024, second), 2 * MIB, "a").await.err();
        assert_eq!((enough, little, short), (None, Some(Fault::TooSlow), None));
    }
}
