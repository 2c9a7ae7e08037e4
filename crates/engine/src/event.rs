//! The log: reading what arrived.

use bytes::Bytes;
use domain::event::{Event, EventFilter, EventRate, EventSummary};
use domain::id::{EventId, InboxId};
use domain::page::{Count, Page, Slice};
use jiff::SignedDuration;

use crate::{Engine, store};

impl Engine {
    /// A part of the log, newest first.
    pub async fn events(
        &self,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> store::Result<Slice<EventSummary, EventId>> {
        self.inner.store.events(filter, page).await
    }

    /// How many events match.
    pub async fn event_count(&self, filter: &EventFilter) -> store::Result<Count> {
        self.inner.store.event_count(filter).await
    }

    /// One event.
    pub async fn event(&self, id: EventId) -> store::Result<Event> {
        self.inner.store.event(id).await
    }

    /// The bytes of one event, as they came.
    pub async fn event_body(&self, id: EventId) -> store::Result<Bytes> {
        self.inner.store.event_body(id).await
    }

    /// Events per inbox in the last `steps` steps of `step`.
    pub async fn event_rates(
        &self,
        step: SignedDuration,
        steps: usize,
    ) -> store::Result<Vec<EventRate>> {
        self.inner.store.event_rates(self.inner.clock.now(), step, steps).await
    }

    /// The types that occur.
    pub async fn event_types(&self, inbox: Option<InboxId>) -> store::Result<Vec<String>> {
        self.inner.store.event_types(inbox).await
    }
}
