//! A vault that is still being chosen.
//!
//! A keychain is proved before it is relied on, and a service that accepts and never answers keeps
//! that waiting for many seconds. The listeners do not wait for it: whoever needs a secret does,
//! and not for long.

use std::time::Duration;

use tokio::sync::watch;

use super::{Error, Place};

/// How long a caller waits. A sender hangs up after some seconds, and comes again.
const PATIENCE: Duration = Duration::from_secs(2);

/// What will be known of the vault.
#[derive(Clone)]
pub(super) struct Opening(watch::Receiver<Option<Place>>);

impl Opening {
    /// Begins to find out.
    pub(super) fn begin(choosing: impl Future<Output = Place> + Send + 'static) -> Self {
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let place = choosing.await;
            tell.send_replace(Some(place));
        });
        Self(told)
    }

    /// What is known now.
    pub(super) fn now(&self) -> Option<Place> {
        self.0.borrow().clone()
    }

    /// What is known soon.
    pub(super) async fn soon(&self) -> Result<Place, Error> {
        tokio::time::timeout(PATIENCE, self.settled()).await.map_err(|_| Error::Opening)
    }

    /// What is known at last.
    pub(super) async fn settled(&self) -> Place {
        match self.0.clone().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(place)) => place.clone(),
            // Finding out can only have panicked.
            Ok(None) | Err(_) => Place::Missing("it could not be found out".into()),
        }
    }
}
