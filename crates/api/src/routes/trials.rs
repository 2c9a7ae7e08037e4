//! Trying a stream of a connector that is being written.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::id::ConnectionId;
use engine::{Engine, connector, trial};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connections::Exchange;
use crate::error::{ApiError, ErrorDetail};
use crate::extract::{Json, Path};

/// What is tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTrial {
    /// Which stream.
    stream: String,
    /// The files of the connector by their names, where it is another than the one at hand.
    files: Option<BTreeMap<String, String>>,
}

/// What came of trying a stream. Secrets are masked.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trial {
    stream: String,
    /// Its first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<TrialPage>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDetail>,
    /// The requests that were made, oldest first.
    requests: Vec<Exchange>,
}

/// A first page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialPage {
    records: Vec<TrialRecord>,
    /// How many there are in all, where the answer says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Whether it is also the last.
    done: bool,
    /// The cursor that was found, as it would be stored.
    #[schema(value_type = Object)]
    cursor: serde_json::Value,
    /// What would be asked next: for the next page, or, where this is the last, by the next run.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<TrialNext>,
}

/// A record of a first page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialRecord {
    /// Its key; a space between its parts.
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Whether the provider says that it is gone.
    deleted: bool,
    /// The record, as JSON text.
    data: String,
}

/// A request that would be made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialNext {
    method: String,
    /// Path and query, not encoded; or a whole address.
    asks: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl From<trial::Trial> for Trial {
    fn from(trial: trial::Trial) -> Self {
        let (page, error) = match trial.page {
            Ok(page) => (Some(page.into()), None),
            Err(error) => (None, Some(ApiError::from(error).detail().clone())),
        };
        let requests = trial.requests.into_iter().map(Exchange::from).collect();
        Self { stream: trial.stream, page, error, requests }
    }
}

impl From<trial::FirstPage> for TrialPage {
    fn from(page: trial::FirstPage) -> Self {
        let records = page.records.into_iter().map(|record| TrialRecord {
            key: record.key,
            version: record.version,
            deleted: record.deleted,
            data: record.data,
        });
        Self {
            records: records.collect(),
            total: page.total,
            done: page.done,
            cursor: page.cursor,
            next: page.next.map(|next| TrialNext {
                method: next.method,
                asks: next.asks,
                body: next.body,
            }),
        }
    }
}

/// Reads the first page of a stream with the credentials of a connection. Nothing is stored.
#[utoipa::path(
    post,
    path = "/api/connections/{id}/try",
    tag = "connections",
    params(("id" = String, Path)),
    request_body = NewTrial,
    responses((status = OK, body = Trial), (status = "default", body = ApiError)),
)]
pub(crate) async fn try_connection(
    State(engine): State<Engine>,
    Path(id): Path<ConnectionId>,
    Json(new): Json<NewTrial>,
) -> Result<Json<Trial>, ApiError> {
    let connector = match &new.files {
        None => None,
        Some(files) => {
            let connection = engine.connection(id).await?;
            let id = &connection.connection.connection.connector;
            Some(connector::read_files(id, files).map_err(ApiError::from)?)
        }
    };
    Ok(Json(engine.try_stream(id, connector, &new.stream).await?.into()))
}
