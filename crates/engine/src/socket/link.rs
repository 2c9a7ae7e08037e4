//! One open socket: what comes over it is kept, acknowledged, and looked at for what it says of the
//! socket itself.
//!
//! Messages that have come together are kept together, so that they share a commit, and are
//! acknowledged in their order. Taking them is never interrupted; waiting for them is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::connector::{Acknowledge, Connector, Socket as Rules};
use domain::inbox::Inbox;
use domain::refusal::Reason;
use domain::socket::{self, Said};
use domain::text;
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::outgoing::{LARGEST, Socket};

/// How long somebody who is there may take to say so.
const ANSWERED: Duration = Duration::from_secs(5);
/// How long what we send may take to leave.
const SENT: Duration = Duration::from_secs(10);
/// How long a socket is used on after the next one is.
const RETIRING: Duration = Duration::from_secs(30);
/// How long the other side may take to close, too.
const CLOSED: Duration = Duration::from_secs(1);
/// The longest piece of a wait: after each it is looked whether the computer has slept.
pub(super) const PIECE: Duration = Duration::from_secs(5);
/// How much longer than it should a wait may have taken, by the clock on the wall.
const JUMP: Duration = Duration::from_secs(10);
/// How many messages are kept together.
const TOGETHER: usize = 64;
/// How many bytes of them, before the last one.
const TOGETHER_BYTES: usize = 1024 * 1024;

/// What becomes of a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It ends soon: the next one is to be opened.
    Renew,
    /// The other side has switched it off.
    SwitchedOff,
    /// It is no longer there.
    Lost(String),
}

/// What messages said of the socket.
#[derive(Default)]
struct Told {
    ready: bool,
    renew: bool,
    stop: bool,
}

/// Where what comes over a socket goes.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) engine: Engine,
    pub(super) inbox: Inbox,
    pub(super) connector: Arc<Connector>,
}

/// An open socket.
pub(super) struct Link {
    door: Door,
    socket: Socket,
    heard: Instant,
    /// With what it is closed.
    code: CloseCode,
    /// Why it has ended, where that was found while there were messages to be kept.
    ended: Option<String>,
}

/// Whether the clock on the wall has gone on much further than a wait: the computer slept.
pub(super) fn slept(before: Timestamp, now: Timestamp, waited: Duration) -> bool {
    let passed = now.duration_since(before);
    passed.is_positive() && passed.unsigned_abs() > waited + JUMP
}

impl Door {
    /// Keeps the events in messages; what is to be sent for these then. What is not acknowledged
    /// comes again.
    async fn keep(&self, rules: &Rules, said: Vec<Said>) -> Vec<String> {
        let Some(webhooks) = &self.connector.webhooks else { return Vec::new() };
        let patience = rules.ack.as_ref().map_or(SENT, patience);
        let mut said = said;
        let events: Vec<Option<Bytes>> =
            said.iter_mut().map(|said| said.event.take().map(Bytes::from)).collect();
        let bodies: Vec<_> = events.iter().flatten().cloned().collect();
        let kept = self.engine.receive_messages(&self.inbox, webhooks, &bodies, patience).await;
        let mut kept = kept.into_iter();
        let mut answers = Vec::new();
        for (said, event) in said.into_iter().zip(events) {
            let done = event.is_none() || kept.next().is_some_and(|kept| kept.is_ok());
            answers.extend(said.answer.filter(|_| done));
        }
        answers
    }

    fn refuse(&self, body: &[u8], reason: Reason, why: String) {
        self.engine.inner.sockets.ignored(self.inbox.id);
        self.engine.refuse_message(&self.inbox, body, reason, why);
    }

    fn heard(&self) {
        self.engine.inner.sockets.heard(self.inbox.id, self.engine.now());
    }
}

impl Link {
    pub(super) fn new(door: Door, socket: Socket) -> Self {
        Self { door, socket, heard: Instant::now(), code: CloseCode::Normal, ended: None }
    }

    /// The same, once events may come over it.
    ///
    /// # Errors
    ///
    /// What it says instead.
    pub(super) async fn until_ready(mut self) -> Result<Self, Report> {
        let Some(rules) = self.door.connector.socket.clone() else {
            return Err(Report::Lost("its connector has no socket".into()));
        };
        if rules.ready.is_none() {
            return Ok(self);
        }
        let within = rules.ready_within.get().unsigned_abs();
        let ready = timeout(within, async {
            loop {
                let told = self.take(&rules).await?;
                match told {
                    Told { stop: true, .. } => return Err(Report::SwitchedOff),
                    Told { renew: true, .. } => return Err(Report::Renew),
                    Told { ready: true, .. } => return Ok(()),
                    Told { .. } => {}
                }
            }
        });
        match ready.await {
            Ok(Ok(())) => Ok(self),
            Ok(Err(report)) => {
                self.close().await;
                Err(report)
            }
            Err(_) => {
                self.close().await;
                Err(Report::Lost(format!("it was not ready within {}", rules.ready_within)))
            }
        }
    }

    /// Takes what comes over it, until it ends or is closed: at once when `closing`, and a while
    /// after it is told to `retire`.
    pub(super) async fn serve(
        mut self,
        reports: mpsc::Sender<Report>,
        retire: CancellationToken,
        closing: CancellationToken,
    ) {
        let Some(rules) = self.door.connector.socket.clone() else { return };
        let retired = async {
            retire.cancelled().await;
            tokio::time::sleep(RETIRING).await;
        };
        tokio::pin!(retired);
        loop {
            let first = tokio::select! {
                biased;
                () = closing.cancelled() => return self.close().await,
                () = &mut retired => return self.close().await,
                first = self.wait(&rules) => first,
            };
            let told = match first {
                Ok(first) => self.keep_all(&rules, first).await,
                Err(why) => Err(Report::Lost(why)),
            };
            let report = match told {
                Ok(Told { stop: true, .. }) => Report::SwitchedOff,
                Ok(Told { renew: true, .. }) => Report::Renew,
                Ok(Told { .. }) => continue,
                Err(report) => report,
            };
            let over = report != Report::Renew;
            // Nobody listens once the next one is in use. What does not fit says nothing new.
            let _ = reports.try_send(report);
            if over {
                return self.close().await;
            }
        }
    }

    async fn take(&mut self, rules: &Rules) -> Result<Told, Report> {
        let first = self.wait(rules).await.map_err(Report::Lost)?;
        self.keep_all(rules, first).await
    }

    /// The next message. A socket that is silent for too long is asked whether anybody is there.
    ///
    /// Dropping it loses nothing.
    async fn wait(&mut self, rules: &Rules) -> Result<Message, String> {
        if let Some(why) = self.ended.take() {
            return Err(why);
        }
        let silent = rules.ping.get().unsigned_abs();
        loop {
            let left = (self.heard + silent).saturating_duration_since(Instant::now());
            let piece = left.min(PIECE);
            let before = self.door.engine.now();
            match timeout(piece, self.socket.next()).await {
                Ok(next) => return self.heard(next),
                Err(_) if slept(before, self.door.engine.now(), piece) || left <= piece => {
                    return self.ask(silent).await;
                }
                Err(_) => {}
            }
        }
    }

    /// Asks whether anybody is there.
    async fn ask(&mut self, silent: Duration) -> Result<Message, String> {
        self.send(Message::Ping(Bytes::new())).await?;
        match timeout(ANSWERED.min(silent), self.socket.next()).await {
            Ok(next) => self.heard(next),
            Err(_) => Err("nothing was heard over it any more".into()),
        }
    }

    fn heard(&mut self, next: Option<Result<Message, Error>>) -> Result<Message, String> {
        let message = match next {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(self.broken(&error)),
            None => return Err("the other side closed it".into()),
        };
        self.heard = Instant::now();
        self.door.heard();
        match message {
            Message::Close(frame) => Err(closed(frame.as_ref())),
            message => Ok(message),
        }
    }

    fn broken(&mut self, error: &Error) -> String {
        if let Error::Capacity(_) = error {
            let why = "a message was larger than 25 MB";
            self.code = CloseCode::Size;
            self.door.refuse(b"", Reason::TooLarge, why.into());
            return why.into();
        }
        text::clean(&error.to_string(), 200)
    }

    /// Keeps what has come by now, beginning with `first`, and acknowledges it.
    async fn keep_all(&mut self, rules: &Rules, first: Message) -> Result<Told, Report> {
        let mut texts = Vec::new();
        self.sort(first, &mut texts);
        while texts.len() < TOGETHER
            && texts.iter().map(|it| it.len()).sum::<usize>() < TOGETHER_BYTES
        {
            let Some(next) = self.socket.next().now_or_never() else { break };
            match self.heard(next) {
                Ok(message) => self.sort(message, &mut texts),
                Err(why) => {
                    self.ended = Some(why);
                    break;
                }
            }
        }

        let mut told = Told::default();
        let mut all = Vec::new();
        for text in &texts {
            match socket::read(rules, text, self.door.engine.now()) {
                Ok(said) => {
                    told.ready |= said.ready;
                    told.renew |= said.renew;
                    told.stop |= said.stop;
                    all.push(said);
                }
                Err(error) => {
                    self.door.refuse(text.as_bytes(), Reason::Malformed, error.to_string())
                }
            }
        }
        for answer in self.door.keep(rules, all).await {
            self.send(Message::text(answer)).await.map_err(Report::Lost)?;
        }
        Ok(told)
    }

    /// Puts a text aside to be kept; anything else says nothing.
    fn sort(&self, message: Message, texts: &mut Vec<Utf8Bytes>) {
        match message {
            Message::Text(text) => texts.push(text),
            Message::Binary(bytes) => {
                let why = "a message of a socket is not a text".to_owned();
                self.door.refuse(&bytes, Reason::Malformed, why);
            }
            // Whether anybody is there is answered by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        match timeout(SENT, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| text::clean(&error.to_string(), 200)),
            Err(_) => Err("nothing could be sent over it any more".into()),
        }
    }

    /// Says good-bye, and waits for the other side to do so.
    async fn close(mut self) {
        let frame = CloseFrame { code: self.code, reason: Utf8Bytes::default() };
        let closing = async {
            // It may be closed already.
            let _ = self.socket.close(Some(frame)).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        let _ = timeout(CLOSED, closing).await;
    }
}

/// Half of what the other side waits: the rest is for the commit and the way back.
fn patience(ack: &Acknowledge) -> Duration {
    ack.within.get().unsigned_abs() / 2
}

fn closed(frame: Option<&CloseFrame>) -> String {
    match frame {
        Some(frame) if !frame.reason.is_empty() => {
            let reason = text::clean(&frame.reason, 200);
            format!("the other side closed it: {} {reason}", u16::from(frame.code))
        }
        Some(frame) => format!("the other side closed it: {}", u16::from(frame.code)),
        None => "the other side closed it".into(),
    }
}

const _: () = assert!(LARGEST == 25 * 1024 * 1024, "what is said of it names its size");
