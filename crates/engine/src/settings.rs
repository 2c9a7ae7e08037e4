//! The few choices that belong to the installation rather than to one of its things.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::changes::{Notice, Noun};
use crate::{Engine, store};

/// Under which name the connectors are kept that were tried here.
const TRIED: &str = "tried_connectors";

/// The user's choices. Unknown ones of a newer version are dropped, missing ones have a default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The IANA time zone for screens, schedules and reports; the system's where there is none.
    pub time_zone: Option<String>,
    /// Whether the user has been told that closing the window keeps the listener alive.
    pub close_explained: bool,
}

impl Engine {
    /// The settings as they are.
    pub async fn settings(&self) -> store::Result<Settings> {
        let text = self.inner.store.setting("settings").await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Sets them all.
    pub async fn set_settings(&self, settings: &Settings) -> store::Result<()> {
        let text =
            serde_json::to_string(settings).map_err(|error| store::Error::Io(error.to_string()))?;
        self.inner.store.set_setting("settings", text).await
    }

    /// The connectors that the user has marked as working with an account of their own.
    pub async fn tried_connectors(&self) -> store::Result<BTreeSet<String>> {
        let text = self.inner.store.setting(TRIED).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Marks a connector as working here, or no longer.
    pub async fn mark_connector(&self, id: &str, tried: bool) -> store::Result<()> {
        let mut all = self.tried_connectors().await?;
        if tried {
            all.insert(id.to_owned())
        } else {
            all.remove(id)
        };
        let text =
            serde_json::to_string(&all).map_err(|error| store::Error::Io(error.to_string()))?;
        self.inner.store.set_setting(TRIED, text).await?;
        self.inner.changes.note(Notice::of(Noun::All));
        Ok(())
    }
}
