//! The few choices of the installation.

use axum::extract::State;
use engine::Engine;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Json;
use crate::patch::{Change, change};

/// The choices as they are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Settings {
    /// The IANA time zone for screens and schedules; null is the system's.
    #[schema(required)]
    time_zone: Option<String>,
    /// Whether the user has been told that closing the window keeps the listener alive.
    close_explained: bool,
}

impl From<engine::settings::Settings> for Settings {
    fn from(settings: engine::settings::Settings) -> Self {
        Self { time_zone: settings.time_zone, close_explained: settings.close_explained }
    }
}

/// Which choices change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsPatch {
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    time_zone: Change<String>,
    close_explained: Option<bool>,
}

/// Shows the choices.
#[utoipa::path(
    get,
    path = "/api/settings",
    tag = "settings",
    responses((status = OK, body = Settings), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_settings(State(engine): State<Engine>) -> Result<Json<Settings>, ApiError> {
    Ok(Json(engine.settings().await?.into()))
}

/// Changes some.
#[utoipa::path(
    patch,
    path = "/api/settings",
    tag = "settings",
    request_body = SettingsPatch,
    responses((status = OK, body = Settings), (status = "default", body = ApiError)),
)]
pub(crate) async fn update_settings(
    State(engine): State<Engine>,
    Json(patch): Json<SettingsPatch>,
) -> Result<Json<Settings>, ApiError> {
    let mut settings = engine.settings().await?;
    if let Some(time_zone) = patch.time_zone {
        settings.time_zone = time_zone.map(known_zone).transpose()?;
    }
    if let Some(explained) = patch.close_explained {
        settings.close_explained = explained;
    }
    engine.set_settings(&settings).await?;
    Ok(Json(settings.into()))
}

fn known_zone(name: String) -> Result<String, ApiError> {
    match jiff::tz::TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(ApiError::field("time_zone", "is not a time zone, as Europe/London is")),
    }
}
