//! Login of the web pages: a code from the terminal becomes a session token.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Json;
use crate::login::{CODE_LIFE, Logins, NoRandomness};
use crate::management::Addresses;
use crate::time::Time;

/// A code, as it stands behind `#login=` in the printed address.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LoginRequest {
    code: String,
}

/// What to send as bearer from now on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Login {
    token: String,
}

/// Spends a code for a session token. Needs no token, of course.
#[utoipa::path(
    post,
    path = "/api/login",
    tag = "login",
    request_body = LoginRequest,
    responses((status = OK, body = Login), (status = "default", body = ApiError)),
)]
pub(crate) async fn spend_login_code(
    State(logins): State<Logins>,
    Json(request): Json<LoginRequest>,
) -> Result<Json<Login>, ApiError> {
    let token = logins.spend(&request.code)?.ok_or_else(ApiError::login_code)?;
    Ok(Json(Login { token: token.expose().to_owned() }))
}

/// An address that logs in.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginCode {
    /// Good once.
    url: String,
    expires_at: Time,
}

/// Makes an address that logs in, for `patchbay login`.
#[utoipa::path(
    post,
    path = "/api/login-codes",
    tag = "login",
    responses((status = CREATED, body = LoginCode), (status = "default", body = ApiError)),
)]
pub(crate) async fn create_login_code(
    State(logins): State<Logins>,
    State(engine): State<engine::Engine>,
    State(addresses): State<Addresses>,
) -> Result<(StatusCode, Json<LoginCode>), ApiError> {
    let api = addresses.api.ok_or_else(ApiError::no_route)?;
    let expires_at = engine.now() + CODE_LIFE;
    let url = crate::login_url(&api, &logins.code()?);
    Ok((StatusCode::CREATED, Json(LoginCode { url, expires_at: expires_at.into() })))
}

impl From<NoRandomness> for ApiError {
    fn from(error: NoRandomness) -> Self {
        Self::host_failed(error.to_string())
    }
}
