//! Refusals: why a webhook did not arrive.

use domain::id::{InboxId, RefusalId};
use domain::page::{Count, Page, Slice};
use domain::refusal::Refusal;
use jiff::Timestamp;

use crate::{Engine, store};

impl Engine {
    /// A part of the refusals, newest first.
    pub async fn refusals(
        &self,
        inbox: Option<InboxId>,
        page: Page<RefusalId>,
    ) -> store::Result<Slice<Refusal, RefusalId>> {
        self.inner.store.refusals(inbox, page).await
    }

    /// One refusal.
    pub async fn refusal(&self, id: RefusalId) -> store::Result<Refusal> {
        self.inner.store.refusal(id).await
    }

    /// How many since then, unknown paths left out.
    pub async fn refusal_count(&self, since: Timestamp) -> store::Result<Count> {
        self.inner.store.refusal_count(since).await
    }
}
