//! Requests that were not accepted, and why.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::id::{InboxId, RefusalId};
use domain::refusal::{self, Reason};
use engine::Engine;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::extract::{Json, Path, Query};
use crate::list::{self, Count, optional};
use crate::time::Time;

/// A refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    id: String,
    /// For which inbox; none for an unknown path.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox_name: Option<String>,
    at: Time,
    /// From where, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    method: String,
    /// The key of an inbox is masked.
    path: String,
    reason: RefusalReason,
    /// The reason in a sentence, with what was seen.
    message: String,
    /// What to do about it.
    hint: &'static str,
    #[schema(value_type = Vec<[String; 2]>)]
    headers: Vec<(String, String)>,
    /// The first 4 KiB of the body, as far as they are text.
    body_start: String,
    size_bytes: u64,
    /// How many were put together in this one.
    times: u32,
}

/// Why a request was not accepted.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefusalReason {
    UnknownPath,
    Method,
    TooLarge,
    TooSlow,
    Unsigned,
    Malformed,
    Stale,
    WrongSignature,
    NoSecret,
    NoKey,
    BadCertificate,
    Unwanted,
    VaultLocked,
    SecretLost,
    VaultUnusable,
    Overload,
    NoConnector,
}

impl From<Reason> for RefusalReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::UnknownPath => Self::UnknownPath,
            Reason::Method => Self::Method,
            Reason::TooLarge => Self::TooLarge,
            Reason::TooSlow => Self::TooSlow,
            Reason::Unsigned => Self::Unsigned,
            Reason::Malformed => Self::Malformed,
            Reason::Stale => Self::Stale,
            Reason::WrongSignature => Self::WrongSignature,
            Reason::NoSecret => Self::NoSecret,
            Reason::NoKey => Self::NoKey,
            Reason::BadCertificate => Self::BadCertificate,
            Reason::Unwanted => Self::Unwanted,
            Reason::VaultLocked => Self::VaultLocked,
            Reason::SecretLost => Self::SecretLost,
            Reason::VaultUnusable => Self::VaultUnusable,
            Reason::Overload => Self::Overload,
            Reason::NoConnector => Self::NoConnector,
        }
    }
}

/// What to do about a refusal.
pub fn refusal_hint(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownPath => {
            "No inbox has this address. Compare it with the address that the sender was given; \
             strangers who try addresses look like this too."
        }
        Reason::Method => {
            "Webhooks come as POST. Opening the address in a browser looks like this."
        }
        Reason::TooLarge => "An inbox takes up to 25 MB. Let the sender send less.",
        Reason::TooSlow => "The sender, or the way to here, was too slow. It usually tries again.",
        Reason::Unsigned => {
            "Switch signing on at the sender, or make an inbox of “Anything”, which accepts \
             unsigned requests."
        }
        Reason::Malformed => {
            "Look at what came and at its headers: something between the sender and here may have \
             changed them."
        }
        Reason::Stale => {
            "Compare this computer's clock with the sender's. A recorded request that somebody \
             sends again looks like this too."
        }
        Reason::WrongSignature => {
            "Compare the inbox's signing secret with the one that the sender uses."
        }
        Reason::NoSecret => "Enter the signing secret that the sender shows.",
        Reason::NoKey => {
            "The sender's key could not be fetched. Look at the network; the sender usually tries \
             again."
        }
        Reason::BadCertificate => {
            "Its certificate is not one of this sender. If many look like this, somebody pretends \
             to be the sender."
        }
        Reason::Unwanted => {
            "Compare the inbox's settings with what was sent: where it may come from, and for whom."
        }
        Reason::VaultLocked => "Unlock the keychain. The sender usually tries again.",
        Reason::SecretLost => {
            "Enter the inbox's secret again: it is no longer in the vault. The sender usually \
             tries again."
        }
        Reason::VaultUnusable => {
            "Look at the vault in Settings, or run `patchbay doctor`. The sender usually tries \
             again."
        }
        Reason::NoConnector => "Look at the connector's file; /api/connectors says what is wrong.",
        Reason::Overload => "More came than could be written. The sender was told to try again.",
    }
}

impl Refusal {
    fn new(refusal: refusal::Refusal, names: &BTreeMap<InboxId, String>) -> Self {
        let refused = refusal.refused;
        Self {
            id: refusal.id.to_string(),
            inbox_name: refused.inbox.and_then(|id| names.get(&id).cloned()),
            inbox: refused.inbox.map(|id| id.to_string()),
            at: refused.at.into(),
            address: refused.address,
            method: refused.method,
            path: refused.path,
            reason: refused.reason.into(),
            message: refused.message,
            hint: refusal_hint(refused.reason),
            headers: refused.headers,
            body_start: String::from_utf8_lossy(&refused.body_start).into_owned(),
            size_bytes: refused.size_bytes,
            times: refusal.times,
        }
    }
}

/// A part of the refusals, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusalList {
    refusals: Vec<Refusal>,
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

/// Which refusals.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListRefusals {
    /// Those of this inbox.
    inbox: Option<String>,
    /// At most so many: 1 to 1,000; 100 where it is left out.
    limit: Option<usize>,
    /// Older than this one.
    before: Option<String>,
    /// Newer than this one.
    after: Option<String>,
}

/// Lists the newest refusals.
#[utoipa::path(
    get,
    path = "/api/refusals",
    tag = "refusals",
    params(ListRefusals),
    responses((status = OK, body = RefusalList), (status = "default", body = ApiError)),
)]
pub(crate) async fn list_refusals(
    State(engine): State<Engine>,
    Query(query): Query<ListRefusals>,
) -> Result<Json<RefusalList>, ApiError> {
    let inbox = optional("inbox", query.inbox.as_deref())?;
    let page = list::page(query.limit, query.before.as_deref(), query.after.as_deref())?;
    let slice = engine.refusals(inbox, page).await?;
    let names = engine.inbox_names();
    Ok(Json(RefusalList {
        next: slice.next.map(|id| id.to_string()),
        previous: slice.previous.map(|id| id.to_string()),
        refusals: slice.items.into_iter().map(|item| Refusal::new(item, &names)).collect(),
    }))
}

/// Since when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountRefusals {
    /// Those at or after this time; all where it is left out.
    since: Option<String>,
}

/// Counts refusals, unknown paths left out.
#[utoipa::path(
    get,
    path = "/api/refusals/count",
    tag = "refusals",
    params(CountRefusals),
    responses((status = OK, body = Count), (status = "default", body = ApiError)),
)]
pub(crate) async fn count_refusals(
    State(engine): State<Engine>,
    Query(query): Query<CountRefusals>,
) -> Result<Json<Count>, ApiError> {
    let since = list::time("since", query.since.as_deref())?;
    let count = engine.refusal_count(since.unwrap_or(jiff::Timestamp::UNIX_EPOCH)).await?;
    Ok(Json(count.into()))
}

/// Shows one.
#[utoipa::path(
    get,
    path = "/api/refusals/{id}",
    tag = "refusals",
    params(("id" = String, Path)),
    responses((status = OK, body = Refusal), (status = "default", body = ApiError)),
)]
pub(crate) async fn get_refusal(
    State(engine): State<Engine>,
    Path(id): Path<RefusalId>,
) -> Result<Json<Refusal>, ApiError> {
    Ok(Json(Refusal::new(engine.refusal(id).await?, &engine.inbox_names())))
}
