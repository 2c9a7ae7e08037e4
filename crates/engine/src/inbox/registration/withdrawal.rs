//! Taking addresses back from their senders.
//!
//! An inbox that is deleted does not wait for its sender. What cannot be taken back at once is tried
//! again whenever registrations are looked at, for as long as its connection is there: a sender that
//! still knows an address goes on sending to it, and may switch the whole account off for its
//! failures.

use std::time::Duration;

use domain::connection::ConnectionState;
use domain::inbox::Inbox;
use futures::StreamExt as _;

use super::{AT_ONCE, Error};
use crate::outgoing::Error as Outgoing;
use crate::{Engine, store};

/// How long a sender may take to forget an inbox.
const WITHDRAWAL: Duration = Duration::from_secs(10);

/// Takes an address back from its sender, as far as that can be done now. Says whether the sender
/// knows it no longer, or has refused to forget it.
pub(crate) async fn withdraw(engine: &Engine, inbox: &Inbox) -> bool {
    let Some(ids) = inbox.inbox.registration.external_id() else { return true };
    let Some(id) = inbox.inbox.connection else { return true };
    let Some((connection, connector)) = engine.sender_of(inbox).await else {
        // A connector of the user's own may be broken just now; a connection that is gone is gone.
        return matches!(engine.inner.store.connection(id).await, Err(store::Error::NotFound));
    };
    let Some(register) = &connector.register else { return true };
    let removal = engine.remove_entries(&connection, &connector, register, ids);
    match tokio::time::timeout(WITHDRAWAL, removal).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(inbox.id = %inbox.id, %error, "the sender still knows a deleted inbox");
            is_final(&error)
        }
        Err(_) => {
            tracing::warn!(inbox.id = %inbox.id, "the sender did not take a deleted inbox back");
            false
        }
    }
}

/// Takes back what could not be taken back when its inbox was deleted.
pub(super) async fn finish(engine: &Engine) {
    let inboxes = match engine.inner.store.inboxes_to_withdraw().await {
        Ok(inboxes) => inboxes,
        Err(error) => return tracing::error!(%error, "deleted inboxes could not be read"),
    };
    let turns = inboxes.into_iter().map(|inbox| finish_one(engine, inbox));
    futures::stream::iter(turns.collect::<Vec<_>>())
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

async fn finish_one(engine: &Engine, inbox: Inbox) {
    let sender = engine.sender_of(&inbox).await;
    let ready = sender.is_some_and(|(it, _)| it.connection.state == ConnectionState::Ready);
    if !ready || !withdraw(engine, &inbox).await {
        return;
    }
    match engine.inner.store.let_inbox_go(inbox.id).await {
        Ok(()) => engine.inner.housekeeping.notify_one(),
        Err(error) => tracing::error!(%error, "a deleted inbox could not be let go"),
    }
}

/// Whether the sender would say the same another time: not so where it was too busy, or where a new
/// sign-in may help.
const fn is_final(error: &Error) -> bool {
    match error {
        Error::Sender(Outgoing::Status { status, .. }) => {
            matches!(*status, 400..=499) && !matches!(*status, 401 | 403 | 408 | 425 | 429)
        }
        _ => false,
    }
}
