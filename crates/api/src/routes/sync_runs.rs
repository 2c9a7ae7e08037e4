//! Runs of syncs.

use axum::extract::State;
use domain::id::SyncRunId;
use domain::sync::{self, Extent, RunState};
use engine::Engine;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::extract::{Json, Path, Query};
use crate::list::{self, optional};
use crate::time::Time;

/// A run of a sync.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SyncRun {
    id: String,
    sync: String,
    trigger: RunTrigger,
    /// Whether it reads everything again.
    full: bool,
    state: SyncRunState,
    started_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
    pages: u64,
    records: u64,
    inserted: u64,
    changed: u64,
    unchanged: u64,
    deleted: u64,
    /// How many records the provider says there will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    /// What it has to say beside that, in sentences: that nothing has changed, or why everything is
    /// read anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RunError>,
    /// How it is getting on, while it runs; only where one run is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunTrigger {
    Schedule,
    Hand,
    First,
}

impl From<sync::RunTrigger> for RunTrigger {
    fn from(trigger: sync::RunTrigger) -> Self {
        match trigger {
            sync::RunTrigger::Schedule => Self::Schedule,
            sync::RunTrigger::Hand => Self::Hand,
            sync::RunTrigger::First => Self::First,
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SyncRunState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RunError {
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How a run is getting on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Progress {
    records_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    requests: u64,
    /// What it waits for just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Until when it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
}

impl From<engine::sync::Progress> for Progress {
    fn from(progress: engine::sync::Progress) -> Self {
        Self {
            records_per_second: progress.records_per_second,
            seconds_left: progress.seconds_left,
            requests: progress.requests,
            why: progress.why,
            until: progress.until.map(Time::from),
        }
    }
}

impl From<sync::SyncRun> for SyncRun {
    fn from(run: sync::SyncRun) -> Self {
        let (state, ended_at, error) = match run.state {
            RunState::Running => (SyncRunState::Running, None, None),
            RunState::Done { at } => (SyncRunState::Done, Some(at), None),
            RunState::Failed { at, error } => (SyncRunState::Failed, Some(at), Some(error)),
            RunState::Cancelled { at } => (SyncRunState::Cancelled, Some(at), None),
        };
        Self {
            id: run.id.to_string(),
            sync: run.sync.to_string(),
            trigger: run.trigger.into(),
            full: run.extent == Extent::Full,
            state,
            started_at: run.started_at.into(),
            ended_at: ended_at.map(Time::from),
            pages: run.counts.pages,
            records: run.counts.records,
            inserted: run.counts.inserted,
            changed: run.counts.changed,
            unchanged: run.counts.unchanged,
            deleted: run.counts.deleted,
            expected: run.expected,
            note: run.note,
            error: error.map(|error| RunError {
                code: error.code,
                message: error.message,
                hint: error.hint,
            }),
            progress: None,
        }
    }
}

/// A part of the runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncRunList {
    sync_runs: Vec<SyncRun>,
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSyncRuns {
    /// Those of this sync.
    sync: Option<String>,
    /// At most so many: 1 to 1,000; 100 where it is left out.
    limit: Option<usize>,
    /// Older than this one.
    before: Option<String>,
    /// Newer than this one.
    after: Option<String>,
}

/// Lists the newest runs.
#[utoipa::path(
    get,
    path = "/api/sync-runs",
    tag = "syncs",
    params(ListSyncRuns),
    responses((status = OK, body = SyncRunList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_sync_runs(
    State(engine): State<Engine>,
    Query(query): Query<ListSyncRuns>,
) -> Result<Json<SyncRunList>, ApiError> {
    let sync = optional("sync", query.sync.as_deref())?;
    let page = list::page(query.limit, query.before.as_deref(), query.after.as_deref())?;
    let slice = engine.sync_runs(sync, page).await?;
    Ok(Json(SyncRunList {
        next: slice.next.map(|id| id.to_string()),
        previous: slice.previous.map(|id| id.to_string()),
        sync_runs: slice.items.into_iter().map(SyncRun::from).collect(),
    }))
}

/// Shows one run, and how it is getting on.
#[utoipa::path(
    get,
    path = "/api/sync-runs/{id}",
    tag = "syncs",
    params(("id" = String, Path)),
    responses((status = OK, body = SyncRun), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_sync_run(
    State(engine): State<Engine>,
    Path(id): Path<SyncRunId>,
) -> Result<Json<SyncRun>, ApiError> {
    let (run, progress) = engine.sync_run(id).await?;
    Ok(Json(SyncRun { progress: progress.map(Progress::from), ..run.into() }))
}

/// Stops a run; what it has committed stays.
#[utoipa::path(
    post,
    path = "/api/sync-runs/{id}/cancel",
    tag = "syncs",
    params(("id" = String, Path)),
    responses((status = OK, body = SyncRun), (status = "default", body = ApiError)),
)]
pub(crate) async fn cancel_sync_run(
    State(engine): State<Engine>,
    Path(id): Path<SyncRunId>,
) -> Result<Json<SyncRun>, ApiError> {
    Ok(Json(engine.cancel_run(id).await?.into()))
}
