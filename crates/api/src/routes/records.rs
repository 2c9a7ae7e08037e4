//! Things in streams, as last seen.

use axum::extract::State;
use domain::record::{self, RecordFilter};
use engine::Engine;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::list::{self, Count, filled, optional};
use crate::time::Time;

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Record {
    id: String,
    connection: String,
    stream: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// As the provider wrote it, numbers and order included.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    data: Box<RawValue>,
    /// Whether the provider says that it is gone.
    deleted: bool,
    first_seen_at: Time,
    /// When it last changed, by our clock.
    changed_at: Time,
}

impl From<record::Record> for Record {
    fn from(record: record::Record) -> Self {
        Self {
            id: record.id.to_string(),
            connection: record.connection.to_string(),
            stream: record.stream,
            key: record.record.key,
            version: record.record.version,
            data: raw(record.record.data),
            deleted: record.record.deleted,
            first_seen_at: record.first_seen_at.into(),
            changed_at: record.changed_at.into(),
        }
    }
}

/// What was stored is JSON already, and goes out as it is.
fn raw(data: String) -> Box<RawValue> {
    RawValue::from_string(data).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A part of the records, last changed first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordList {
    records: Vec<Record>,
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Which records, and which part of the list of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListRecords {
    /// Those of this connection.
    connection: Option<String>,
    /// Those of this stream.
    stream: Option<String>,
    /// Those in which this text stands.
    q: Option<String>,
    /// At most so many: 1 to 1,000; 100 where it is left out.
    limit: Option<usize>,
    /// Older than this one.
    before: Option<String>,
    /// Newer than this one.
    after: Option<String>,
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountRecords {
    /// Those of this connection.
    connection: Option<String>,
    /// Those of this stream.
    stream: Option<String>,
    /// Those in which this text stands.
    q: Option<String>,
}

impl CountRecords {
    fn filter(&self) -> Result<RecordFilter, ApiError> {
        Ok(RecordFilter {
            connection: optional("connection", self.connection.as_deref())?,
            stream: filled(self.stream.as_deref()).map(str::to_owned),
            text: filled(self.q.as_deref()).map(str::to_owned),
        })
    }
}

/// Lists records, last changed first.
#[utoipa::path(
    get,
    path = "/api/records",
    tag = "records",
    params(ListRecords),
    responses((status = OK, body = RecordList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_records(
    State(engine): State<Engine>,
    Query(query): Query<ListRecords>,
) -> Result<Json<RecordList>, ApiError> {
    let page = list::page(query.limit, query.before.as_deref(), query.after.as_deref())?;
    let ListRecords { connection, stream, q, .. } = query;
    let filter = CountRecords { connection, stream, q }.filter()?;
    let slice = engine.records(&filter, page).await?;
    Ok(Json(RecordList {
        next: slice.next.map(|id| id.to_string()),
        previous: slice.previous.map(|id| id.to_string()),
        records: slice.items.into_iter().map(Record::from).collect(),
    }))
}

/// Counts records, deleted ones left out.
#[utoipa::path(
    get,
    path = "/api/records/count",
    tag = "records",
    params(CountRecords),
    responses((status = OK, body = Count), (status = "default", body = ApiError)),
)]
pub(crate) async fn count_records(
    State(engine): State<Engine>,
    Query(query): Query<CountRecords>,
) -> Result<Json<Count>, ApiError> {
    Ok(Json(engine.record_count(&query.filter()?).await?.into()))
}
