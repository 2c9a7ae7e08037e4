//! Keeping one socket open: the next one when it ends, and none where only its user can help.
//!
//! One that says that it ends soon is used on while the next is opened, and for a while after: what
//! is on its way over it is still taken and acknowledged there. One that is lost is opened anew at
//! once; what cannot be opened, or does not last, is tried again after waits that grow.

use std::time::Duration;

use domain::inbox::Inbox;
use domain::socket;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::link::{Door, Link, PIECE, Report, slept};
use super::{AtWork, SocketState};
use crate::outgoing::{self, random_share};
use crate::{Engine, store};

/// How long a socket has to last for its loss to be the first in a row.
const LASTING: Duration = Duration::from_secs(30);

/// Keeps the socket of one inbox.
pub(super) struct Keeper {
    engine: Engine,
    inbox: Inbox,
    at_work: AtWork,
    /// How often in a row it could not be opened.
    failures: u32,
    /// How often in a row it was lost soon after it had been opened.
    losses: u32,
}

/// Why a socket could not be opened.
enum Failure {
    /// It may be possible later, but not before this.
    Later { why: String, not_before: Option<Timestamp> },
    /// Only its user can put it right.
    User(SocketState),
}

impl From<outgoing::Error> for Failure {
    fn from(error: outgoing::Error) -> Self {
        let why = error.to_string();
        match error {
            outgoing::Error::SignIn(_) | outgoing::Error::Credentials(_) => {
                Self::User(SocketState::NeedsSignIn { why })
            }
            outgoing::Error::RateLimited { until, .. } => {
                Self::Later { why, not_before: Some(until) }
            }
            _ => Self::Later { why, not_before: None },
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Later { why: error.to_string(), not_before: None }
    }
}

/// The sockets that are open: the one in use, and those that end.
struct Links {
    tasks: JoinSet<()>,
    in_use: Option<InUse>,
    closing: CancellationToken,
}

struct InUse {
    reports: mpsc::Receiver<Report>,
    retire: CancellationToken,
    since: Instant,
}

impl Links {
    /// Uses this one from now on. The one before ends in its own time.
    fn use_now(&mut self, link: Link) {
        let (report, reports) = mpsc::channel(4);
        let retire = CancellationToken::new();
        self.tasks.spawn(link.serve(report, retire.clone(), self.closing.clone()));
        let new = InUse { reports, retire, since: Instant::now() };
        if let Some(old) = self.in_use.replace(new) {
            old.retire.cancel();
        }
        // Those that have ended since.
        while self.tasks.try_join_next().is_some() {}
    }

    fn is_in_use(&self) -> bool {
        self.in_use.is_some()
    }

    /// What the one in use says next; never, where there is none.
    async fn report(&mut self) -> Report {
        match &mut self.in_use {
            Some(link) => match link.reports.recv().await {
                Some(report) => report,
                None => Report::Lost("it ended".into()),
            },
            None => std::future::pending().await,
        }
    }

    /// Waits until the one in use is gone while the next is not open yet; how it went.
    async fn gone(&mut self) -> Report {
        loop {
            match self.report().await {
                Report::Renew => {}
                report => {
                    self.in_use = None;
                    return report;
                }
            }
        }
    }

    /// Closes all of them, each after what it has in hand.
    async fn close(mut self) {
        self.closing.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Keeper {
    pub(super) fn new(engine: Engine, inbox: Inbox, at_work: AtWork) -> Self {
        Self { engine, inbox, at_work, failures: 0, losses: 0 }
    }

    /// Keeps it open until it is cancelled.
    pub(super) async fn keep(mut self) {
        let mut links =
            Links { tasks: JoinSet::new(), in_use: None, closing: CancellationToken::new() };
        let cancelled = self.at_work.cancelled.clone();
        // It ends by being cancelled, and no other way.
        let _ = cancelled.run_until_cancelled(self.keep_open(&mut links)).await;
        links.close().await;
    }

    async fn keep_open(&mut self, links: &mut Links) {
        loop {
            let link = self.obtain(links).await;
            self.failures = 0;
            links.use_now(link);
            self.show(SocketState::Connected);
            match links.report().await {
                // It is in use until the next one is.
                Report::Renew => {}
                Report::SwitchedOff => {
                    links.in_use = None;
                    tracing::warn!(inbox.id = %self.inbox.id, "a socket was switched off");
                    self.show(SocketState::SwitchedOff);
                    self.at_work.again.notified().await;
                }
                Report::Lost(why) => self.lost(links, why).await,
            }
        }
    }

    /// What is used now is gone. Once is nothing; again and again, it is waited.
    async fn lost(&mut self, links: &mut Links, why: String) {
        let since = links.in_use.take().map(|link| link.since);
        let lasted = since.is_some_and(|since| since.elapsed() >= LASTING);
        self.losses = if lasted { 0 } else { self.losses + 1 };
        tracing::info!(inbox.id = %self.inbox.id, %why, "a socket was lost");
        if self.losses > 1 {
            let until = self.in_a_while(self.losses - 1, None);
            self.pause(links, why, until).await;
        }
    }

    /// The next socket, over which events may come. What is in use meanwhile may be lost.
    async fn obtain(&mut self, links: &mut Links) -> Link {
        loop {
            if !links.is_in_use() {
                self.show(SocketState::Opening);
            }
            match self.open_beside(links).await {
                Ok(link) => return link,
                Err(Failure::Later { why, not_before }) => {
                    tracing::warn!(inbox.id = %self.inbox.id, %why, "a socket was not opened");
                    self.failures = self.failures.saturating_add(1);
                    let until = self.in_a_while(self.failures, not_before);
                    self.pause(links, why, until).await;
                }
                Err(Failure::User(state)) => {
                    tracing::warn!(inbox.id = %self.inbox.id, ?state, "a socket needs its user");
                    self.show(state);
                    self.at_work.again.notified().await;
                }
            }
        }
    }

    /// Opens a socket; shows when the one in use is lost meanwhile.
    async fn open_beside(&self, links: &mut Links) -> Result<Link, Failure> {
        let opening = self.open();
        tokio::pin!(opening);
        loop {
            tokio::select! {
                opened = &mut opening => return opened,
                gone = links.gone() => match gone {
                    Report::SwitchedOff => return Err(Failure::User(SocketState::SwitchedOff)),
                    Report::Renew | Report::Lost(_) => self.show(SocketState::Opening),
                },
            }
        }
    }

    async fn open(&self) -> Result<Link, Failure> {
        let connector = &self.at_work.connector;
        let connection = self.engine.inner.store.connection(self.at_work.connection).await?;
        let Some(rules) = &connector.socket else {
            let why = "its connector has no socket".to_owned();
            return Err(Failure::Later { why, not_before: None });
        };
        let socket = self.engine.open_socket(&connection, connector, rules).await?;
        let door = Door {
            engine: self.engine.clone(),
            inbox: self.inbox.clone(),
            connector: connector.clone(),
        };
        let link = Link::new(door, socket);
        match link.until_ready().await {
            Ok(link) => Ok(link),
            Err(Report::SwitchedOff) => Err(Failure::User(SocketState::SwitchedOff)),
            Err(Report::Lost(why)) => Err(Failure::Later { why, not_before: None }),
            Err(Report::Renew) => {
                let why = "it ended before it began".to_owned();
                Err(Failure::Later { why, not_before: None })
            }
        }
    }

    /// Waits before the next try. Being told to try again, or waking from sleep, ends it early: the
    /// network may be another.
    async fn pause(&self, links: &mut Links, why: String, until: Timestamp) {
        let waiting = SocketState::Waiting { why, until };
        if !links.is_in_use() {
            self.show(waiting.clone());
        }
        let left = until.duration_since(self.engine.now()).unsigned_abs();
        let over = self.nap(left);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                () = self.at_work.again.notified() => return,
                _ = links.gone() => self.show(waiting.clone()),
            }
        }
    }

    /// Sleeps for `left`, or until the computer has slept.
    async fn nap(&self, mut left: Duration) {
        while !left.is_zero() {
            let piece = left.min(PIECE);
            let before = self.engine.now();
            tokio::time::sleep(piece).await;
            if slept(before, self.engine.now(), piece) {
                return;
            }
            left -= piece;
        }
    }

    fn in_a_while(&self, times: u32, not_before: Option<Timestamp>) -> Timestamp {
        let now = self.engine.now();
        let until = now.saturating_add(socket::wait(times, random_share())).unwrap_or(now);
        not_before.map_or(until, |not_before| until.max(not_before))
    }

    fn show(&self, state: SocketState) {
        self.engine.show_socket(self.inbox.id, state);
    }
}
