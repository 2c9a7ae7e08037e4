//! The few choices that belong to the installation rather than to one of its things.

use serde::{Deserialize, Serialize};

use crate::{Engine, store};

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
}
