//! Streams of connections that are kept up to date.

use axum::extract::State;
use domain::id::SyncId;
use domain::sync::{self, Extent};
use engine::Engine;
use engine::sync::{Records, SyncRequest, SyncStatus};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::sync_runs::{Progress, SyncRun};
use crate::error::ApiError;
use crate::extract::{Json, Path, Query};
use crate::list::Count;
use crate::patch::{Change, change};
use crate::time::Time;

/// A sync with what is known of it now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Sync {
    id: String,
    connection: String,
    connection_name: String,
    connector: String,
    stream: String,
    stream_title: String,
    /// Null: by hand only.
    #[schema(required)]
    schedule: Option<Schedule>,
    /// The schedule in words.
    schedule_text: String,
    state: SyncState,
    /// Why it waits or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Until when it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_run_at: Option<Time>,
    /// The newest time that a record carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_at: Option<Time>,
    /// How old the newest data is.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<i64>,
    /// How many records the stream holds.
    records: Count,
    /// The last 30, newest first.
    runs: Vec<SyncRun>,
    /// How the run at work is getting on.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    created_at: Time,
    sandbox: bool,
}

/// When a sync runs by itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Schedule {
    /// Every so often.
    Every(Every),
    /// By the clock of a place.
    Cron(Cron),
}

/// `{"every": "5m"}`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Every {
    /// 10 seconds or more, as `90s`, `5m`, `2h`, `1d`.
    every: String,
}

/// `{"cron": "0 6 * * *", "zone": "Europe/London"}`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cron {
    /// Five fields.
    cron: String,
    /// An IANA time zone.
    zone: String,
}

impl From<sync::Schedule> for Schedule {
    fn from(schedule: sync::Schedule) -> Self {
        match schedule {
            sync::Schedule::Every { every } => Self::Every(Every { every }),
            sync::Schedule::Cron { cron, zone } => Self::Cron(Cron { cron, zone }),
        }
    }
}

impl From<Schedule> for sync::Schedule {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Every(Every { every }) => Self::Every { every },
            Schedule::Cron(Cron { cron, zone }) => Self::Cron { cron, zone },
        }
    }
}

/// What a sync does now.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SyncState {
    Idle,
    Running,
    /// It would run, but waits for a time or for a person.
    Waiting,
    /// Its last run failed.
    Failed,
    Paused,
}

impl From<SyncStatus> for Sync {
    fn from(status: SyncStatus) -> Self {
        use engine::sync::SyncState as Now;
        let stored = status.sync;
        let (state, why, until) = match status.state {
            Now::Idle => (SyncState::Idle, None, None),
            Now::Running => (SyncState::Running, None, None),
            Now::Waiting { why, until } => (SyncState::Waiting, Some(why), until),
            Now::Failed => (SyncState::Failed, last_failure(&status.runs), None),
            Now::Paused => (SyncState::Paused, None, None),
        };
        Self {
            id: stored.id.to_string(),
            connection: stored.sync.connection.to_string(),
            connection_name: status.connection.connection.name,
            connector: status.connection.connection.connector,
            stream: stored.sync.stream,
            stream_title: status.stream_title,
            schedule_text: schedule_text(stored.sync.schedule.as_ref()),
            schedule: stored.sync.schedule.map(Schedule::from),
            state,
            why,
            until: until.map(Time::from),
            next_run_at: stored.next_run_at.map(Time::from),
            newest_at: stored.newest_at.map(Time::from),
            lag_seconds: status.lag.map(|lag| lag.as_secs()),
            records: status.records.into(),
            runs: status.runs.into_iter().map(SyncRun::from).collect(),
            progress: status.progress.map(Progress::from),
            created_at: stored.created_at.into(),
            sandbox: stored.sync.sandbox,
        }
    }
}

fn last_failure(runs: &[sync::SyncRun]) -> Option<String> {
    runs.iter().find_map(|run| match &run.state {
        sync::RunState::Failed { error, .. } => Some(error.message.clone()),
        _ => None,
    })
}

fn schedule_text(schedule: Option<&sync::Schedule>) -> String {
    schedule.map_or_else(|| "by hand".to_owned(), sync::Schedule::in_words)
}

/// Syncs, by connection and stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncList {
    syncs: Vec<Sync>,
    /// Always null: all of them are here.
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Lists the syncs.
#[utoipa::path(
    get,
    path = "/api/syncs",
    tag = "syncs",
    responses((status = OK, body = SyncList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_syncs(State(engine): State<Engine>) -> Result<Json<SyncList>, ApiError> {
    let syncs = engine.syncs().await?.into_iter().map(Sync::from).collect();
    Ok(Json(SyncList { syncs, next: None, previous: None }))
}

/// A sync to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSync {
    connection: String,
    stream: String,
    /// Null: by hand only.
    schedule: Option<Schedule>,
}

/// Makes a sync. Its first run begins as soon as its connection is ready.
#[utoipa::path(
    post,
    path = "/api/syncs",
    tag = "syncs",
    request_body = NewSync,
    responses((status = CREATED, body = Sync), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_sync(
    State(engine): State<Engine>,
    Json(new): Json<NewSync>,
) -> Result<(StatusCode, Json<Sync>), ApiError> {
    let request = SyncRequest {
        connection: new
            .connection
            .parse()
            .map_err(|error| ApiError::field("connection", &format!("does not fit: {error}")))?,
        stream: new.stream,
        schedule: new.schedule.map(sync::Schedule::from),
    };
    Ok((StatusCode::CREATED, Json(engine.create_sync(request).await?.into())))
}

/// Shows one.
#[utoipa::path(
    get,
    path = "/api/syncs/{id}",
    tag = "syncs",
    params(("id" = String, Path)),
    responses((status = OK, body = Sync), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_sync(
    State(engine): State<Engine>,
    Path(id): Path<SyncId>,
) -> Result<Json<Sync>, ApiError> {
    Ok(Json(engine.sync(id).await?.into()))
}

/// What of a sync changes; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncPatch {
    /// Null: by hand only from now on.
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<Schedule>)]
    schedule: Change<Schedule>,
    paused: Option<bool>,
}

/// Changes its schedule, or stops it for now.
#[utoipa::path(
    patch,
    path = "/api/syncs/{id}",
    tag = "syncs",
    params(("id" = String, Path)),
    request_body = SyncPatch,
    responses((status = OK, body = Sync), (status = "default", body = ApiError)),
)]
pub(crate) async fn update_sync(
    State(engine): State<Engine>,
    Path(id): Path<SyncId>,
    Json(patch): Json<SyncPatch>,
) -> Result<Json<Sync>, ApiError> {
    let schedule = patch.schedule.map(|schedule| schedule.map(sync::Schedule::from));
    Ok(Json(engine.update_sync(id, schedule, patch.paused).await?.into()))
}

/// What is deleted with a sync.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteSyncQuery {
    /// Its records, too; otherwise they stay, and grow old.
    #[serde(default)]
    #[param(required = false)]
    records: bool,
}

/// Deletes it with the list of its runs.
#[utoipa::path(
    delete,
    path = "/api/syncs/{id}",
    tag = "syncs",
    params(("id" = String, Path), DeleteSyncQuery),
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn delete_sync(
    State(engine): State<Engine>,
    Path(id): Path<SyncId>,
    Query(query): Query<DeleteSyncQuery>,
) -> Result<StatusCode, ApiError> {
    let records = if query.records { Records::Deleted } else { Records::Kept };
    engine.delete_sync(id, records).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far a run reads.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// Everything again, rather than what changed.
    #[serde(default)]
    #[schema(required = false)]
    full: bool,
}

/// A run that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BegunRun {
    /// Of the run: see `/api/sync-runs/{id}`.
    id: String,
}

/// Begins a run now; one that is under way is the answer where there is one.
#[utoipa::path(
    post,
    path = "/api/syncs/{id}/run",
    tag = "syncs",
    params(("id" = String, Path)),
    request_body(content = Option<RunRequest>),
    responses((status = ACCEPTED, body = BegunRun), (status = "default", body = ApiError)),
)]
pub(crate) async fn run_sync(
    State(engine): State<Engine>,
    Path(id): Path<SyncId>,
    body: bytes::Bytes,
) -> Result<(StatusCode, Json<BegunRun>), ApiError> {
    let request = if body.is_empty() {
        RunRequest::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| ApiError::invalid(error.to_string()))?
    };
    let extent = if request.full { Extent::Full } else { Extent::Changes };
    let run = engine.run_sync(id, extent).await?;
    Ok((StatusCode::ACCEPTED, Json(BegunRun { id: run.id.to_string() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_takes_the_schedule_away_and_nothing_leaves_it() {
        let check = |text: &str| serde_json::from_str::<SyncPatch>(text).unwrap().schedule;

        assert!(check("{}").is_none());
        assert!(matches!(check(r#"{"schedule": null}"#), Some(None)));
        assert!(matches!(check(r#"{"schedule": {"every": "5m"}}"#), Some(Some(_))));
    }
}
