//! How Patchbay is doing, as the frame of every page shows it.

use std::sync::Arc;

use axum::extract::State;
use domain::tunnel::TunnelState;
use engine::housekeeping::Lost;
use engine::tunnel::TunnelStatus;
use engine::{Engine, vault};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, Code, ErrorDetail};
use crate::extract::Json;
use crate::host::{Host, HostKind};
use crate::management::Addresses;
use crate::time::Time;

/// How Patchbay is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Status {
    pub(crate) version: &'static str,
    pub(crate) host: HostKind,
    /// `linux`, `macos`, `windows`.
    pub(crate) platform: &'static str,
    pub(crate) data_dir: String,
    /// How the command line is called in a shell: `patchbay`, or its full path.
    pub(crate) program: String,
    #[schema(required)]
    pub(crate) api_url: Option<String>,
    #[schema(required)]
    pub(crate) ingress_url: Option<String>,
    pub(crate) startup: Startup,
    pub(crate) vault: VaultStatus,
    pub(crate) disk: Disk,
    pub(crate) intake: Intake,
    pub(crate) sandbox: SandboxStatus,
    pub(crate) reach: Reach,
    /// Whether it starts with the computer; null where this host has no say in that.
    #[schema(required)]
    pub(crate) autostart: Option<bool>,
}

/// Whether it could start. Where it is not `ready`, every other route answers 503.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Startup {
    pub(crate) state: StartupState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// See [`Startup`].
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StartupState {
    Ready,
    /// The data was written by a newer Patchbay.
    NewerData,
    /// The database is damaged.
    Damaged,
    /// The disk has no room.
    NoSpace,
    /// Another process owns the data.
    Owned,
    /// The data directory cannot be used.
    Unusable,
    /// Another program has the port that was asked for.
    PortTaken,
    /// Something else, which the message says.
    Failed,
}

impl Startup {
    pub(crate) fn ready() -> Self {
        Self { state: StartupState::Ready, message: None, hint: None }
    }

    /// How a fault at the start is shown.
    pub(crate) fn failed(error: &ErrorDetail) -> Self {
        Self {
            state: match error.code {
                Code::NewerData => StartupState::NewerData,
                Code::Damaged => StartupState::Damaged,
                Code::DiskFull => StartupState::NoSpace,
                Code::Owned => StartupState::Owned,
                Code::Unusable | Code::Storage => StartupState::Unusable,
                Code::PortTaken => StartupState::PortTaken,
                _ => StartupState::Failed,
            },
            message: Some(error.message.clone()),
            hint: error.hint.clone(),
        }
    }
}

/// How the vault is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct VaultStatus {
    kind: VaultKind,
    state: VaultState,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whose secrets it no longer holds: they have to be entered again.
    lost: Vec<LostSecrets>,
}

/// What has to be given its secrets again.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LostSecrets {
    /// The id of a connection, an inbox or a tunnel.
    owner: String,
    name: String,
}

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VaultKind {
    /// The keychain of the operating system.
    Keychain,
    /// A file sealed with a key file.
    SealedFile,
    /// Memory, in tests.
    Memory,
    /// Nowhere: what needs a secret is refused.
    Missing,
}

impl From<vault::Kind> for VaultKind {
    fn from(kind: vault::Kind) -> Self {
        match kind {
            vault::Kind::Keychain => Self::Keychain,
            vault::Kind::SealedFile => Self::SealedFile,
            vault::Kind::Memory => Self::Memory,
            vault::Kind::Missing => Self::Missing,
        }
    }
}

/// Whether the vault can be used.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VaultState {
    Ready,
    /// It has not been proved yet.
    Opening,
    Locked,
    Missing,
    Broken,
}

impl VaultStatus {
    pub(crate) fn missing() -> Self {
        Self {
            kind: VaultKind::Missing,
            state: VaultState::Missing,
            message: None,
            hint: None,
            lost: Vec::new(),
        }
    }

    fn new(kind: vault::Kind, fault: Option<vault::Error>, lost: Vec<Lost>) -> Self {
        let state = fault.as_ref().map_or(VaultState::Ready, VaultState::of);
        let detail = fault.map(|fault| ApiError::from(fault).detail().clone());
        let (message, hint) = detail.map_or((None, None), |it| (Some(it.message), it.hint));
        let lost = lost.into_iter().map(|Lost { owner, name }| LostSecrets { owner, name });
        Self { kind: kind.into(), state, message, hint, lost: lost.collect() }
    }
}

impl VaultState {
    fn of(fault: &vault::Error) -> Self {
        match fault {
            vault::Error::Opening => Self::Opening,
            vault::Error::Locked => Self::Locked,
            vault::Error::Missing(_) => Self::Missing,
            vault::Error::NotFound
            | vault::Error::Forgetful
            | vault::Error::Incomplete
            | vault::Error::Sealed(_)
            | vault::Error::KeyFile { .. }
            | vault::Error::Io(_) => Self::Broken,
        }
    }
}

/// How the disk is doing.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Disk {
    /// What the databases take.
    database_bytes: u64,
    /// What the disk has left.
    free_bytes: u64,
    /// Whether the last write failed for want of room.
    full: bool,
}

/// How what comes is keeping up with being written.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Intake {
    /// How much waits to be written, in units of a request or 1 KiB of its body.
    waiting: u64,
    /// The most that may wait; what comes beyond that is told to come again.
    room: u64,
    /// How many refusals were not noted since the start, because too many came at once.
    refusals_dropped: u64,
}

/// Whether this host runs the pretend shop, and as what it is connected.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct SandboxStatus {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
}

/// Whether the inboxes can be reached from outside.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Reach {
    state: ReachState,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    /// When a probe last came back through the public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    proved_at: Option<Time>,
}

/// See [`Reach`].
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReachState {
    /// A probe came back not long ago.
    Reachable,
    /// A tunnel is on, and no probe came back yet, or not for some time.
    Unproved,
    /// No tunnel is on.
    Off,
}

impl Reach {
    pub(crate) fn off() -> Self {
        Self { state: ReachState::Off, public_url: None, proved_at: None }
    }

    /// The best that can be said of any tunnel.
    fn best(tunnels: &[TunnelStatus]) -> Self {
        let reachable = tunnels.iter().find_map(|tunnel| match &tunnel.state {
            TunnelState::Reachable { public_url, proved_at } => Some(Self {
                state: ReachState::Reachable,
                public_url: Some(public_url.clone()),
                proved_at: Some((*proved_at).into()),
            }),
            _ => None,
        });
        let unproved = || {
            tunnels.iter().find_map(|tunnel| match &tunnel.state {
                TunnelState::Unproved { public_url, proved_at, .. } => Some(Self {
                    state: ReachState::Unproved,
                    public_url: Some(public_url.clone()),
                    proved_at: proved_at.map(Time::from),
                }),
                _ => None,
            })
        };
        let on = || {
            let on = tunnels.iter().any(|tunnel| tunnel.state != TunnelState::Off);
            on.then_some(Self { state: ReachState::Unproved, public_url: None, proved_at: None })
        };
        reachable.or_else(unproved).or_else(on).unwrap_or_else(Self::off)
    }
}

/// Tells how Patchbay is doing.
#[utoipa::path(
    get,
    path = "/api/status",
    tag = "status",
    responses((status = OK, body = Status), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_status(
    State(engine): State<Engine>,
    State(host): State<Arc<dyn Host>>,
    State(addresses): State<Addresses>,
) -> Result<Json<Status>, ApiError> {
    let (status, tunnels, connections) =
        tokio::try_join!(status(&engine), tunnels(&engine), connections(&engine))?;
    let sandbox = connections.iter().find(|status| status.connection.connection.sandbox);
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        host: host.kind(),
        platform: std::env::consts::OS,
        data_dir: status.data_dir.display().to_string(),
        program: host.program(),
        api_url: addresses.api.as_ref().map(crate::bare),
        ingress_url: addresses.ingress.as_ref().map(crate::bare),
        startup: Startup::ready(),
        vault: VaultStatus::new(status.vault, status.vault_fault, status.lost),
        disk: Disk {
            database_bytes: status.database_bytes,
            free_bytes: status.free_bytes,
            full: status.disk_full,
        },
        intake: Intake {
            waiting: status.intake.0 as u64,
            room: status.intake.1 as u64,
            refusals_dropped: status.refusals_dropped,
        },
        sandbox: SandboxStatus {
            enabled: engine.sandbox().is_some(),
            connection: sandbox.map(|status| status.connection.id.to_string()),
        },
        reach: Reach::best(&tunnels),
        autostart: host.autostart(),
    }))
}

async fn status(engine: &Engine) -> Result<engine::Status, ApiError> {
    Ok(engine.status().await?)
}

async fn tunnels(engine: &Engine) -> Result<Vec<TunnelStatus>, ApiError> {
    Ok(engine.tunnels().await?)
}

async fn connections(
    engine: &Engine,
) -> Result<Vec<engine::connection::ConnectionStatus>, ApiError> {
    Ok(engine.connections().await?)
}
