//! What is gone, where the only sign of it is that a full reading did not bring it.

use domain::paging::Reading;
use domain::sync::Extent;

use super::failure::Failure;
use super::reader::Reader;
use crate::changes::Noun;
use crate::store::SyncPage;

impl Reader<'_> {
    /// Marks what the full reading has not seen as deleted, in steps. A run that is stopped in the
    /// middle goes on with it.
    ///
    /// A reading that brought nothing at all is not believed: half-made files and errors that look
    /// like success are more common than accounts that lose everything. Who knows better asks for a
    /// full run.
    pub(super) async fn sweep(&self, reading: &mut Reading) -> Result<(), Failure> {
        let store = &self.engine.inner.store;
        if let Some(number) = reading.sweeping {
            let seen = store.seen(self.run.sync, number).await?;
            if !seen.any && seen.any_live && self.run.extent != Extent::Full {
                reading.end_in_doubt();
                self.commit(SyncPage { cursor: Some(reading.to_text()), ..self.nothing() }).await?;
                return Err(Failure::Emptied);
            }
            let mut next = Some(0);
            while let Some(after) = next {
                let now = self.engine.now();
                let (further, counts) = store.sweep(self.run.id, number, after, now).await?;
                if counts.deleted > 0 {
                    self.engine.note(Noun::Records, 0);
                }
                next = further;
            }
        }
        reading.end();
        Ok(self.commit(SyncPage { cursor: Some(reading.to_text()), ..self.nothing() }).await?)
    }
}
