//! What makes the inboxes reachable from outside.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::id::TunnelId;
use domain::tunnel::TunnelState as Now;
use engine::Engine;
use engine::tunnel::{self, TunnelRequest, TunnelStatus};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connectors::Field;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::secrets::{GivenSecrets, taken};
use crate::time::Time;

/// A way to be reached.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TunnelKind {
    id: String,
    title: String,
    /// What it is, for whom, and what it cannot do.
    about: String,
    /// The program that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    /// Whether that program was found on this machine.
    installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    install_hint: Option<String>,
    fields: Vec<Field>,
    /// Whether its address is not encrypted.
    plain_http: bool,
    /// Whether its address changes at each start.
    address_changes: bool,
}

impl From<tunnel::TunnelKind> for TunnelKind {
    fn from(kind: tunnel::TunnelKind) -> Self {
        Self {
            id: kind.id,
            title: kind.title,
            about: kind.about,
            program: kind.program,
            installed: kind.installed,
            install_hint: kind.install_hint,
            fields: kind.fields.into_iter().map(Field::from).collect(),
            plain_http: kind.plain_http,
            address_changes: kind.address_changes,
        }
    }
}

impl From<tunnel::TunnelField> for Field {
    fn from(field: tunnel::TunnelField) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            name: field.name,
            title: field.title,
            help: some(field.help),
            example: some(field.example),
            pattern: some(field.pattern),
            default: field.default,
            secret: field.secret,
            required: !field.optional,
            advanced: false,
            long: false,
            choices: Vec::new(),
        }
    }
}

/// The ways to be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TunnelKindList {
    tunnel_kinds: Vec<TunnelKind>,
}

/// Lists the ways to be reached.
#[utoipa::path(
    get,
    path = "/api/tunnel-kinds",
    tag = "tunnels",
    responses((status = OK, body = TunnelKindList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_tunnel_kinds(State(engine): State<Engine>) -> Json<TunnelKindList> {
    let tunnel_kinds = engine.tunnel_kinds().into_iter().map(TunnelKind::from).collect();
    Json(TunnelKindList { tunnel_kinds })
}

/// A tunnel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Tunnel {
    id: String,
    kind: String,
    kind_title: String,
    name: String,
    settings: BTreeMap<String, String>,
    state: TunnelState,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    /// When a probe last came back through the public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    proved_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The last lines that its program printed, oldest first.
    output: Vec<String>,
    /// The ingress listener that it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<String>,
    plain_http: bool,
    address_changes: bool,
    created_at: Time,
}

/// What a tunnel does now.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TunnelState {
    Off,
    /// It has not told its address yet.
    Starting,
    /// It has an address; no probe has come back yet, or the last proof is too old.
    Unproved,
    /// A probe came back through the public address.
    Reachable,
    Failed,
}

impl From<TunnelStatus> for Tunnel {
    fn from(status: TunnelStatus) -> Self {
        let stored = status.tunnel;
        let (state, public_url, proved_at, why, hint) = match status.state {
            Now::Off => (TunnelState::Off, None, None, None, None),
            Now::Starting => (TunnelState::Starting, None, None, None, None),
            Now::Unproved { public_url, proved_at, why } => {
                (TunnelState::Unproved, Some(public_url), proved_at, why, None)
            }
            Now::Reachable { public_url, proved_at } => {
                (TunnelState::Reachable, Some(public_url), Some(proved_at), None, None)
            }
            Now::Failed { why, hint } => (TunnelState::Failed, None, None, Some(why), hint),
        };
        Self {
            id: stored.id.to_string(),
            kind: stored.tunnel.kind,
            kind_title: status.kind.title,
            name: stored.tunnel.name,
            settings: stored.tunnel.settings,
            state,
            public_url,
            proved_at: proved_at.map(Time::from),
            why,
            hint,
            output: status.output,
            ingress: status.ingress.map(|address| address.to_string()),
            plain_http: status.kind.plain_http,
            address_changes: status.kind.address_changes,
            created_at: stored.created_at.into(),
        }
    }
}

/// Tunnels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TunnelList {
    tunnels: Vec<Tunnel>,
    /// Always null: all of them are here.
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Lists the tunnels.
#[utoipa::path(
    get,
    path = "/api/tunnels",
    tag = "tunnels",
    responses((status = OK, body = TunnelList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_tunnels(
    State(engine): State<Engine>,
) -> Result<Json<TunnelList>, ApiError> {
    let tunnels = engine.tunnels().await?.into_iter().map(Tunnel::from).collect();
    Ok(Json(TunnelList { tunnels, next: None, previous: None }))
}

/// A tunnel to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTunnel {
    kind: String,
    /// The kind's title where it is left out.
    name: Option<String>,
    #[serde(default)]
    #[schema(required = false)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(required = false)]
    secrets: GivenSecrets,
}

/// Makes a tunnel, switched off.
#[utoipa::path(
    post,
    path = "/api/tunnels",
    tag = "tunnels",
    request_body = NewTunnel,
    responses((status = CREATED, body = Tunnel), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_tunnel(
    State(engine): State<Engine>,
    Json(new): Json<NewTunnel>,
) -> Result<(StatusCode, Json<Tunnel>), ApiError> {
    let request = TunnelRequest {
        kind: new.kind,
        name: new.name.unwrap_or_default(),
        settings: new.settings,
        secrets: taken(new.secrets),
    };
    Ok((StatusCode::CREATED, Json(engine.create_tunnel(request).await?.into())))
}

/// Shows one.
#[utoipa::path(
    get,
    path = "/api/tunnels/{id}",
    tag = "tunnels",
    params(("id" = String, Path)),
    responses((status = OK, body = Tunnel), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_tunnel(
    State(engine): State<Engine>,
    Path(id): Path<TunnelId>,
) -> Result<Json<Tunnel>, ApiError> {
    Ok(Json(engine.tunnel(id).await?.into()))
}

/// Deletes it, stopping it first.
#[utoipa::path(
    delete,
    path = "/api/tunnels/{id}",
    tag = "tunnels",
    params(("id" = String, Path)),
    responses((status = NO_CONTENT), (status = "default", body = ApiError)),
)]
pub(crate) async fn delete_tunnel(
    State(engine): State<Engine>,
    Path(id): Path<TunnelId>,
) -> Result<StatusCode, ApiError> {
    engine.delete_tunnel(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switches it on.
#[utoipa::path(
    post,
    path = "/api/tunnels/{id}/start",
    tag = "tunnels",
    params(("id" = String, Path)),
    responses((status = OK, body = Tunnel), (status = "default", body = ApiError)),
)]
pub(crate) async fn start_tunnel(
    State(engine): State<Engine>,
    Path(id): Path<TunnelId>,
) -> Result<Json<Tunnel>, ApiError> {
    Ok(Json(engine.start_tunnel(id).await?.into()))
}

/// Switches it off and ends its program.
#[utoipa::path(
    post,
    path = "/api/tunnels/{id}/stop",
    tag = "tunnels",
    params(("id" = String, Path)),
    responses((status = OK, body = Tunnel), (status = "default", body = ApiError)),
)]
pub(crate) async fn stop_tunnel(
    State(engine): State<Engine>,
    Path(id): Path<TunnelId>,
) -> Result<Json<Tunnel>, ApiError> {
    Ok(Json(engine.stop_tunnel(id).await?.into()))
}

/// Sends a probe through its public address now.
#[utoipa::path(
    post,
    path = "/api/tunnels/{id}/probe",
    tag = "tunnels",
    params(("id" = String, Path)),
    responses((status = OK, body = Tunnel), (status = "default", body = ApiError)),
)]
pub(crate) async fn probe_tunnel(
    State(engine): State<Engine>,
    Path(id): Path<TunnelId>,
) -> Result<Json<Tunnel>, ApiError> {
    Ok(Json(engine.probe_tunnel(id).await?.into()))
}
