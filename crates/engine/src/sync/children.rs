//! A stream that is read once for each record of another.
//!
//! Parents are listed first, into the store; then records are read for each that is due, in the
//! order of their keys, and with its last page a parent is due no more. So a run that is stopped
//! anywhere goes on with the page after the last one that was written, however many parents there
//! are. A parent that the other side refuses stays due for the next run and does not keep the others
//! from being read.

use std::sync::Arc;

use domain::connector::Parent;
use domain::paging::{Reading, Stage};
use serde_json::{Value, json};

use super::failure::Failure;
use super::reader::{Lane, Of, Reader};
use crate::outgoing;
use crate::store::{ParentProgress, Parents, SyncPage};

impl Reader<'_> {
    pub(super) async fn read_children(
        &self,
        reading: &mut Reading,
        parent: &Parent,
        values: &Value,
    ) -> Result<(), Failure> {
        reading.list_parents(&self.stream, self.engine.now());
        if let Stage::Parents { cursor, .. } = reading.stage.clone() {
            let stream = self.source.settled(&parent.stream, values)?;
            let lane = Lane { stream, extra: Value::Null, of: Of::Parents };
            self.read_lane(&lane, reading, cursor).await?;
        }
        let refused = self.read_for_each_due(reading).await?;

        let Stage::Children(children) = &reading.stage else { return Ok(()) };
        let nothing_is_read = children.read == 0
            && !self.engine.inner.store.any_parent_is_read(self.run.sync).await?;
        if let Some(error) = refused.filter(|_| nothing_is_read) {
            // All refuse: that is no run. The next one reads for them, changed or not.
            reading.stage = Stage::Records;
            self.commit(SyncPage { cursor: Some(reading.to_text()), ..self.nothing() }).await?;
            return Err(error.into());
        }
        let refused = (children.refused > 0).then_some(children.refused);
        let note = refused.map(|refused| {
            let of = &parent.stream;
            let name = &self.source.connection.connection.name;
            format!("{name} refused {refused} of {of}; they are tried again with the next run.")
        });
        reading.children_done(&self.stream);
        let cursor = Some(reading.to_text());
        Ok(self.commit(SyncPage { cursor, note, ..self.nothing() }).await?)
    }

    /// Reads for each parent that is due; answers what the other side said to the last one that it
    /// refused.
    async fn read_for_each_due(
        &self,
        reading: &mut Reading,
    ) -> Result<Option<outgoing::Error>, Failure> {
        let store = &self.engine.inner.store;
        reading.children_begin();
        let mut refused = None;
        let mut after = String::new();
        while let Some(due) = store.due_parent(self.run.sync, after).await? {
            let parent: Value = serde_json::from_str(&due.data).unwrap_or_default();
            let lane = Lane {
                stream: Arc::clone(&self.stream),
                extra: json!({ "parent": parent }),
                of: Of::Child(due.key.clone()),
            };
            let cursor = reading.child_begins(due.cursor.as_deref(), due.was_read);
            let is_at_its_beginning = cursor.is_between_runs();
            match self.read_lane(&lane, reading, cursor).await {
                Err(Failure::Outgoing(error)) if is_at_its_beginning && is_refused(&error) => {
                    reading.child_refused();
                    let (key, progress) = (due.key.clone(), ParentProgress::Refused);
                    let parents = Parents::At { key, cursor: None, progress };
                    let cursor = Some(reading.to_text());
                    self.commit(SyncPage { cursor, parents, ..self.nothing() }).await?;
                    refused = Some(error);
                }
                read => read?,
            }
            after = due.key;
        }
        Ok(refused)
    }
}

/// Whether an answer is about one parent alone: it is gone, or not for us.
const fn is_refused(error: &outgoing::Error) -> bool {
    matches!(error, outgoing::Error::Status { status: 403 | 404 | 410, .. })
}
