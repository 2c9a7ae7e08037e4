//! The ledger: which secrets of a connection went to which host, when, and what for.
//!
//! A request is noted in memory before it is sent, so that none waits for the disk; what was noted is
//! written every second, when somebody reads it, and at the end. Names and hosts, never a value.

use std::time::Duration;

use domain::connection::LedgerEntry;
use domain::id::ConnectionId;

use crate::outgoing::Noted;
use crate::{Engine, store};

/// How long a note may be in memory alone.
const EVERY: Duration = Duration::from_secs(1);

/// Writes what was noted, again and again, until the engine stops.
pub(crate) fn keep(engine: Engine) {
    tokio::spawn(async move {
        let stopping = engine.inner.stopping.clone();
        while stopping.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            engine.write_ledger().await;
        }
    });
}

impl Engine {
    /// The newest entries of a connection, newest first.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn ledger(&self, id: ConnectionId, limit: u32) -> store::Result<Vec<LedgerEntry>> {
        self.write_ledger().await;
        self.inner.store.connection(id).await?;
        self.inner.store.ledger(id, limit).await
    }

    /// Writes what was noted since it was written last. What cannot be written now is kept.
    pub(crate) async fn write_ledger(&self) {
        // Whoever reads it waits for what somebody else is writing.
        let _turn = self.inner.ledger.lock().await;
        let trace = self.inner.outgoing.trace();
        let noted = trace.take_ledger();
        if noted.is_empty() {
            return;
        }
        let Noted { sent, not_sent } = noted.clone();
        if let Err(error) = self.inner.store.note_in_ledger(sent, not_sent).await {
            tracing::warn!(%error, "the ledger could not be written yet");
            trace.put_back(noted);
        }
    }
}
