//! Sockets: events over a connection that we open, for inboxes that chose so.
//!
//! An inbox whose events come over a socket has a keeper ([`keep`]) for as long as its connection
//! can be used: it opens the socket, and the next one when it ends. What comes over one ([`link`])
//! goes through the same door as a webhook, and is acknowledged once it is on the disk. Which
//! keepers there should be is looked at whenever an inbox or a connection has changed.
//!
//! Nothing of this is stored: after a start, a socket is opened anew. What the other side wanted to
//! say meanwhile is lost, unless it tries again or can be asked.

mod keep;
mod link;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::Connector;
use domain::id::{ConnectionId, InboxId};
use domain::inbox::Inbox;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::keep::Keeper;
use crate::changes::{Notice, Noun};
use crate::{Engine, store};

/// How often it is looked at without a reason: an own connector may have changed.
const INTERVAL: Duration = Duration::from_secs(30);

/// What a socket does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketState {
    /// Nothing: its connection cannot be used.
    Off {
        /// Why, in a sentence.
        why: String,
    },
    /// It is being opened.
    Opening,
    /// Events may come.
    Connected,
    /// It could not be opened, or did not last. It is tried again.
    Waiting {
        /// What went wrong.
        why: String,
        /// When.
        until: Timestamp,
    },
    /// The other side has switched it off. It is not opened until the user has switched it on
    /// there and says so.
    SwitchedOff,
    /// What should let it in does not. It is not opened until the user has entered it anew.
    NeedsSignIn {
        /// What was said.
        why: String,
    },
}

/// A socket as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketStatus {
    /// What it does.
    pub state: SocketState,
    /// Since when.
    pub since: Timestamp,
    /// When something was last heard over it: a message, or that somebody is there.
    pub heard_at: Option<Timestamp>,
    /// How many messages could not be understood, since the start.
    pub ignored: u64,
}

/// All sockets, as they are now.
#[derive(Default)]
pub(crate) struct Sockets {
    wake: Notify,
    stopping: CancellationToken,
    tasks: TaskTracker,
    /// Held while keepers begin and end.
    changing: tokio::sync::Mutex<()>,
    known: Mutex<HashMap<InboxId, Known>>,
    /// Connections that are just being changed or deleted.
    barred: Mutex<HashSet<ConnectionId>>,
}

struct Known {
    status: SocketStatus,
    keeper: Option<AtWork>,
}

/// A keeper at work.
#[derive(Clone)]
struct AtWork {
    connection: ConnectionId,
    connector: Arc<Connector>,
    /// That what kept it from being opened may be put right.
    again: Arc<Notify>,
    cancelled: CancellationToken,
    ended: CancellationToken,
}

/// Keeps the sockets of a connection closed for as long as it is held.
pub(crate) struct Barred<'a> {
    sockets: &'a Sockets,
    connection: ConnectionId,
}

impl Drop for Barred<'_> {
    fn drop(&mut self) {
        locked(&self.sockets.barred).remove(&self.connection);
        self.sockets.wake.notify_one();
    }
}

impl Sockets {
    /// Looks again at which there should be.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// What the socket of an inbox does.
    pub(crate) fn status(&self, inbox: InboxId) -> Option<SocketStatus> {
        locked(&self.known).get(&inbox).map(|known| known.status.clone())
    }

    /// Notes that something was heard, which is no news for anybody who watches.
    fn heard(&self, inbox: InboxId, at: Timestamp) {
        if let Some(known) = locked(&self.known).get_mut(&inbox) {
            known.status.heard_at = Some(at);
        }
    }

    fn ignored(&self, inbox: InboxId) {
        if let Some(known) = locked(&self.known).get_mut(&inbox) {
            known.status.ignored += 1;
        }
    }

    fn keeper(&self, inbox: InboxId) -> Option<AtWork> {
        locked(&self.known).get(&inbox)?.keeper.clone()
    }

    fn keepers_of(&self, connection: ConnectionId) -> Vec<(InboxId, AtWork)> {
        let known = locked(&self.known);
        let keepers = known.iter().filter_map(|(&id, known)| Some((id, known.keeper.clone()?)));
        keepers.filter(|(_, keeper)| keeper.connection == connection).collect()
    }

    /// Ends the keeper of an inbox, and waits until what it has in hand is done.
    async fn end(&self, inbox: InboxId) {
        let Some(keeper) = self.keeper(inbox) else { return };
        keeper.cancelled.cancel();
        keeper.ended.cancelled().await;
        if let Some(known) = locked(&self.known).get_mut(&inbox) {
            known.keeper = None;
        }
    }

    /// Those that are known of.
    fn inboxes(&self) -> Vec<InboxId> {
        locked(&self.known).keys().copied().collect()
    }
}

/// Starts keeping sockets, until the engine stops.
pub(crate) fn start(engine: Engine) {
    let sockets = &engine.inner.sockets;
    let (tasks, stopping) = (sockets.tasks.clone(), sockets.stopping.clone());
    tasks.spawn(stopping.run_until_cancelled_owned(async move {
        loop {
            // Taken before looking, so that what changes meanwhile wakes us.
            let woken = engine.inner.sockets.wake.notified();
            match engine.settle_sockets().await {
                Ok(()) => {}
                Err(store::Error::Closed) => return,
                Err(error) => tracing::warn!(%error, "sockets could not be looked up"),
            }
            // Being woken or not, there is something to look at.
            let _ = tokio::time::timeout(INTERVAL, woken).await;
        }
    }));
}

/// Closes all sockets, after what they have in hand is done.
pub(crate) async fn stop(engine: &Engine) {
    let sockets = &engine.inner.sockets;
    sockets.stopping.cancel();
    sockets.tasks.close();
    sockets.tasks.wait().await;
}

impl Engine {
    /// Closes the sockets of a connection that can no longer be used. They are opened again when
    /// it can.
    pub(crate) async fn close_sockets(&self, connection: ConnectionId) {
        let sockets = &self.inner.sockets;
        let changing = sockets.changing.lock().await;
        for (inbox, _) in sockets.keepers_of(connection) {
            sockets.end(inbox).await;
        }
        drop(changing);
        sockets.wake();
    }

    /// As [`Engine::close_sockets`], and keeps them closed.
    pub(crate) async fn bar_sockets(&self, connection: ConnectionId) -> Barred<'_> {
        let sockets = &self.inner.sockets;
        locked(&sockets.barred).insert(connection);
        let barred = Barred { sockets, connection };
        self.close_sockets(connection).await;
        barred
    }

    /// Tries at once to open what waits, or was not tried any more: its user may have put right
    /// what was wrong.
    pub(crate) fn try_sockets(&self, connection: ConnectionId) {
        for (_, keeper) in self.inner.sockets.keepers_of(connection) {
            // One that is being opened just now has no need of it.
            keeper.again.notify_waiters();
        }
        self.inner.sockets.wake();
    }

    /// Begins the keepers that there should be, and ends the others.
    async fn settle_sockets(&self) -> store::Result<()> {
        let sockets = &self.inner.sockets;
        let _changing = sockets.changing.lock().await;
        let mut inboxes = self.inner.store.inboxes().await?;
        inboxes.retain(|inbox| inbox.inbox.by_socket());
        let connections = self.inner.store.connections().await?;

        for id in sockets.inboxes() {
            if !inboxes.iter().any(|inbox| inbox.id == id) {
                sockets.end(id).await;
                locked(&sockets.known).remove(&id);
            }
        }
        for inbox in inboxes {
            match self.socket_of(&inbox, &connections) {
                Err(state) => {
                    sockets.end(inbox.id).await;
                    self.show_socket(inbox.id, state);
                }
                Ok((connection, connector)) => {
                    let keeper = sockets.keeper(inbox.id);
                    let current = keeper.is_some_and(|keeper| {
                        keeper.connection == connection
                            && Arc::ptr_eq(&keeper.connector, &connector)
                    });
                    if !current {
                        sockets.end(inbox.id).await;
                        self.keep_socket(inbox, connection, connector);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whose socket an inbox has, and by which connector; or why it has none now.
    fn socket_of(
        &self,
        inbox: &Inbox,
        connections: &[Connection],
    ) -> Result<(ConnectionId, Arc<Connector>), SocketState> {
        let off = |why: &str| SocketState::Off { why: why.into() };
        let connection = inbox
            .inbox
            .connection
            .and_then(|id| connections.iter().find(|connection| connection.id == id))
            .ok_or_else(|| off("Its connection is gone."))?;
        if locked(&self.inner.sockets.barred).contains(&connection.id) {
            return Err(off("Its connection is just being changed."));
        }
        match &connection.connection.state {
            ConnectionState::Ready => {}
            ConnectionState::NeedsSignIn { why, .. } => {
                return Err(SocketState::NeedsSignIn { why: why.clone() });
            }
            ConnectionState::Off => return Err(off("Its connection is switched off.")),
            ConnectionState::Broken { why } => return Err(off(why)),
        }
        let connector = self.inner.connectors.get(&connection.connection.connector);
        let connector = connector
            .filter(|connector| connector.socket.is_some() && connector.webhooks.is_some())
            .ok_or_else(|| off("Its connector has no socket, or cannot be read."))?;
        Ok((connection.id, connector))
    }

    fn keep_socket(&self, inbox: Inbox, connection: ConnectionId, connector: Arc<Connector>) {
        let sockets = &self.inner.sockets;
        let (id, ended) = (inbox.id, CancellationToken::new());
        let keeper = AtWork {
            connection,
            connector,
            again: Arc::default(),
            cancelled: sockets.stopping.child_token(),
            ended: ended.clone(),
        };
        self.show_socket(id, SocketState::Opening);
        if let Some(known) = locked(&sockets.known).get_mut(&id) {
            known.keeper = Some(keeper.clone());
        }
        // However it ends, whoever waits for that is told.
        let told: DropGuard = ended.drop_guard();
        let keeper = Keeper::new(self.clone(), inbox, keeper);
        sockets.tasks.spawn(async move {
            keeper.keep().await;
            drop(told);
        });
    }

    /// Notes what a socket does, and tells those who watch where that is news.
    fn show_socket(&self, inbox: InboxId, state: SocketState) {
        let now = self.now();
        let mut sockets = locked(&self.inner.sockets.known);
        let status = SocketStatus { state: state.clone(), since: now, heard_at: None, ignored: 0 };
        match sockets.get_mut(&inbox) {
            Some(known) if known.status.state == state => return,
            Some(known) => {
                known.status.state = state;
                known.status.since = now;
            }
            None => {
                sockets.insert(inbox, Known { status, keeper: None });
            }
        }
        drop(sockets);
        for noun in [Noun::Inboxes, Noun::Connections] {
            self.inner.changes.note(Notice::of(noun));
        }
    }
}

/// Nothing under these locks can be left half done by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
