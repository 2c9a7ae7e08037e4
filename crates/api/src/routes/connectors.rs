//! What can be connected, and what is needed for it.

use axum::extract::State;
use engine::Engine;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Json, Path};

/// A connector as a tile shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConnectorSummary {
    id: String,
    name: String,
    status: ConnectorStatus,
    /// Whether it lies in the user's own folder.
    own: bool,
    /// `data:image/svg+xml;base64,…`
    icon: String,
    /// What it is, in a sentence.
    about: String,
    has_webhooks: bool,
    has_api: bool,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Broken>,
}

/// How far a connector has been proved.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectorStatus {
    /// Written from the provider's documentation.
    Documented,
    /// Somebody has used it with a live account.
    Tried,
    /// The pretend shop inside Patchbay.
    Sandbox,
}

/// Where a connector's file cannot be read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Broken {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    message: String,
}

/// A connector with what is needed to connect it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Connector {
    #[serde(flatten)]
    summary: ConnectorSummary,
    /// The provider's documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
    settings: Vec<Field>,
    /// The ways in, easiest first.
    auth: Vec<Way>,
    streams: Vec<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Webhooks>,
}

/// A field of a form.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<String>,
    /// A regular expression that a value has to match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    pub(crate) secret: bool,
    pub(crate) required: bool,
}

/// A way in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Way {
    id: String,
    title: String,
    /// `oauth_code`, `header_token`, `none`, …
    kind: String,
    /// Who can use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<String>,
    /// How long it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u32>,
    /// What must be there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<String>,
    /// What it cannot do.
    #[serde(skip_serializing_if = "Option::is_none")]
    cannot: Option<String>,
    /// What to do over there, as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<String>,
    scopes: Vec<String>,
    fields: Vec<Field>,
    /// Whether a browser is needed.
    browser: bool,
}

/// A collection that can be synced.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Stream {
    id: String,
    title: String,
}

/// What its senders are like.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Webhooks {
    secrets: Vec<Field>,
    settings: Vec<Field>,
    /// The types that it can send.
    topics: Vec<String>,
    /// Whether Patchbay can tell the provider of an inbox by itself.
    registers: bool,
    /// Whether what it sends is signed.
    signed: bool,
}

/// All connectors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectorList {
    connectors: Vec<ConnectorSummary>,
}

/// Lists what can be connected, the broken ones among it.
#[utoipa::path(
    get,
    path = "/api/connectors",
    tag = "connectors",
    responses((status = OK, body = ConnectorList), (status = "default", body = ApiError)),
)]
#[expect(clippy::todo, unused_variables, reason = "the outline")]
pub(crate) async fn list_connectors(
    State(engine): State<Engine>,
) -> Result<Json<ConnectorList>, ApiError> {
    todo!()
}

/// Shows one with what is needed to connect it.
#[utoipa::path(
    get,
    path = "/api/connectors/{id}",
    tag = "connectors",
    params(("id" = String, Path)),
    responses((status = OK, body = Connector), (status = "default", body = ApiError)),
)]
#[expect(clippy::todo, unused_variables, reason = "the outline")]
pub(crate) async fn get_connector(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<Connector>, ApiError> {
    todo!()
}
