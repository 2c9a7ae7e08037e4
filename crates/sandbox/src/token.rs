//! The token endpoint.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::Shared;
use crate::form::Form;
use crate::sign_in::{Error, Tokens};

pub(crate) async fn token(State(shared): State<Shared>, body: Bytes) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
    match given(&shared, &Form::read(&body)) {
        Ok(tokens) => {
            shared.wake.notify_waiters();
            let answer = json!({
                "access_token": tokens.access,
                "token_type": "Bearer",
                "expires_in": shared.options.token_life.as_secs(),
                "refresh_token": tokens.refresh,
                "scope": tokens.scope,
            });
            (no_store, Json(answer)).into_response()
        }
        Err(error) => {
            let answer = json!({ "error": error.code(), "error_description": error.to_string() });
            (StatusCode::BAD_REQUEST, no_store, Json(answer)).into_response()
        }
    }
}

fn given(shared: &Shared, form: &Form) -> Result<Tokens, Error> {
    let asked = |name: &'static str, problem: &'static str| {
        form.get(name).ok_or(Error::InvalidRequest(problem))
    };
    let (life, now) = (shared.options.token_life, shared.now());
    match asked("grant_type", "grant_type is missing")? {
        "authorization_code" => {
            let code = asked("code", "code is missing")?;
            let client_id = asked("client_id", "client_id is missing")?;
            let redirect_uri = asked("redirect_uri", "redirect_uri is missing")?;
            let verifier = asked("code_verifier", "code_verifier is missing")?;
            shared.change_grants(|grants| {
                grants.spend_code(code, client_id, redirect_uri, verifier, life, now)
            })
        }
        "refresh_token" => {
            let token = asked("refresh_token", "refresh_token is missing")?;
            let client_id = asked("client_id", "client_id is missing")?;
            shared.change_grants(|grants| grants.refresh(token, client_id, life, now))
        }
        _ => Err(Error::UnsupportedGrantType),
    }
}
