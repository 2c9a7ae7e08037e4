//! What the pages' requests go to: our own router, another host's, or one that says why there is
//! neither.

use std::sync::Arc;

use api::host::{Error, Host};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use engine::changes::Changes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::Url;

use crate::news::News;
use crate::remote::Remote;

/// Most bytes of an answer. What is larger comes as a file.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// See the module.
pub(crate) enum Door {
    /// This process owns the data.
    Ours {
        /// The management router, without a lock.
        router: Router,
        /// The engine's notices.
        changes: Changes,
    },
    /// `patchbay serve` owns it. It has no screen, so browsers are opened here.
    Theirs {
        /// That host.
        remote: Arc<Remote>,
        /// This one.
        host: Arc<dyn Host>,
    },
    /// Nobody does.
    Shut {
        /// It tells the pages why.
        router: Router,
        /// The same for the log.
        why: String,
    },
}

impl Door {
    /// Sends a request and collects its answer.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        match self {
            Self::Ours { router, .. } | Self::Shut { router, .. } => {
                in_process(router, request).await
            }
            Self::Theirs { host, .. } if is_open(&request) => open(host.clone(), &request).await,
            Self::Theirs { remote, .. } => remote.send(request).await.unwrap_or_else(|| {
                let message = "the Patchbay that owns the data does not answer";
                let hint = "Start `patchbay serve` again, or close this window and open it anew.";
                error(StatusCode::BAD_GATEWAY, "host_gone", message, hint)
            }),
        }
    }

    /// What is told without being asked for, from now on.
    pub(crate) fn news(&self) -> BoxStream<'static, News> {
        let live = futures::stream::iter([News::LIVE]);
        match self {
            Self::Ours { changes, .. } => {
                let notices = changes.watch(None).map(|(_, notice)| News::Notice(notice));
                live.chain(notices).boxed()
            }
            Self::Theirs { remote, .. } => remote.news(),
            Self::Shut { .. } => live.boxed(),
        }
    }

    /// What a route answers, where it answers well.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Bytes::new()).ok()?;
        let answer = self.send(request).await;
        answer.status().is_success().then(|| serde_json::from_slice(answer.body()).ok()).flatten()
    }

    /// Changes something.
    pub(crate) async fn patch(&self, path: &str, body: &Value) {
        let request = Request::patch(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into());
        if let Ok(request) = request {
            let answer = self.send(request).await;
            if !answer.status().is_success() {
                tracing::warn!("{path} was not changed: {}", answer.status());
            }
        }
    }
}

async fn in_process(router: &Router, request: Request<Bytes>) -> Response<Bytes> {
    let answer = router.clone().oneshot(request.map(Body::from)).await;
    let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
    match Limited::new(body, ANSWER_LIMIT).collect().await {
        Ok(body) => Response::from_parts(parts, body.to_bytes()),
        Err(fault) if fault.is::<LengthLimitError>() => error(
            StatusCode::INSUFFICIENT_STORAGE,
            "answer_too_large",
            "the answer is larger than 32 MB",
            "Ask for less at once, or export it to a file.",
        ),
        Err(fault) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "answer_broken",
            &format!("the answer ended early: {fault}"),
            "Try again. If it happens again, the log in the data folder says more.",
        ),
    }
}

fn is_open(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/api/host/open"
}

/// As the route of the same name does it.
async fn open(host: Arc<dyn Host>, request: &Request<Bytes>) -> Response<Bytes> {
    let url = serde_json::from_slice::<Value>(request.body())
        .ok()
        .and_then(|body| Url::parse(body["url"].as_str()?).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        let message = "`url` is neither http nor https";
        return error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
            message,
            "Check the address.",
        );
    };
    let opened = tokio::task::spawn_blocking(move || host.open_url(&url)).await;
    match opened.unwrap_or_else(|panic| Err(Error::System(panic.to_string()))) {
        Ok(()) => {
            let mut done = Response::new(Bytes::new());
            *done.status_mut() = StatusCode::NO_CONTENT;
            done
        }
        Err(why) => error(
            StatusCode::NOT_IMPLEMENTED,
            "no_browser",
            &why.to_string(),
            "Copy the link and open it in a browser yourself.",
        ),
    }
}

/// An answer in the shape of the API's own errors.
fn error(status: StatusCode, code: &str, message: &str, hint: &str) -> Response<Bytes> {
    let body = json!({ "error": { "code": code, "message": message, "hint": hint } });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
