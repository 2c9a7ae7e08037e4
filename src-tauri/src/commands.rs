//! The two commands of the pages: a request to the API, and the notices.
//!
//! Bodies go both ways as bytes. As JSON they would be arrays of numbers.

use std::sync::Mutex;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response, header};
use serde_json::json;
use tauri::State;
use tauri::async_runtime::JoinHandle;
use tauri::ipc::{Channel, InvokeBody};

use crate::app::Desktop;
use crate::news::News;

/// Who passes notices on to the page.
#[derive(Default)]
pub(crate) struct Watcher(Mutex<Option<JoinHandle<()>>>);

/// Sends a request to the management API: its method and path in `x-method` and `x-path`, the type
/// of its body in `x-content-type`, its body as the payload.
///
/// The answer is four bytes with the length of a JSON head `{"status", "headers"}`, the head, and
/// the body.
#[tauri::command]
pub(crate) async fn request(
    request: tauri::ipc::Request<'_>,
    desktop: State<'_, Desktop>,
) -> Result<tauri::ipc::Response, String> {
    let request = read(request.headers(), body(request.body())?)?;
    let answer = desktop.send(request).await;
    Ok(tauri::ipc::Response::new(pack(&answer)))
}

/// Passes notices on to the page, from now on, and says whenever they begin to come or stop. A page
/// that was loaded again asks again; the one before gets no more.
#[tauri::command]
pub(crate) async fn watch(
    notices: Channel<News>,
    desktop: State<'_, Desktop>,
    watcher: State<'_, Watcher>,
) -> Result<(), String> {
    // `cargo xtask bench window` waits for this line.
    tracing::info!("the pages are drawn");
    let mut stream = desktop.news();
    let task = tauri::async_runtime::spawn(async move {
        while let Some(notice) = stream.next().await {
            if notices.send(notice).is_err() {
                break;
            }
        }
    });
    let before = watcher.0.lock().map_err(|error| error.to_string())?.replace(task);
    if let Some(before) = before {
        before.abort();
    }
    Ok(())
}

fn body(body: &InvokeBody) -> Result<Bytes, String> {
    match body {
        InvokeBody::Raw(bytes) => Ok(Bytes::copy_from_slice(bytes)),
        // Where the webview cannot pass bytes, they come as an array of numbers.
        InvokeBody::Json(value) => serde_json::from_value::<Vec<u8>>(value.clone())
            .map(Bytes::from)
            .map_err(|_| "a body is bytes".to_owned()),
    }
}

fn read(head: &HeaderMap, body: Bytes) -> Result<Request<Bytes>, String> {
    let text = |name: &str| {
        head.get(name)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| format!("the header `{name}` is missing or unreadable"))
    };
    let path = text("x-path")?;
    if !path.starts_with("/api/") {
        return Err("only the API is reached here".to_owned());
    }
    let mut request = Request::builder().method(text("x-method")?).uri(path);
    if let Some(kind) = head.get("x-content-type") {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    request.body(body).map_err(|error| error.to_string())
}

fn pack(answer: &Response<Bytes>) -> Vec<u8> {
    let headers: Vec<_> = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let head = json!({ "status": answer.status().as_u16(), "headers": headers }).to_string();
    let length = u32::try_from(head.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], head.as_bytes(), answer.body()].concat()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn head(path: &'static str) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert("x-method", "POST".parse().unwrap());
        head.insert("x-path", path.parse().unwrap());
        head.insert("x-content-type", "application/json".parse().unwrap());
        head
    }

    #[test]
    fn a_request_is_what_its_headers_say() {
        let request = read(&head("/api/events?limit=1"), Bytes::from_static(b"{}")).unwrap();

        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "/api/events?limit=1");
        assert_eq!(request.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(request.body().as_ref(), b"{}");
    }

    #[test]
    fn nothing_but_the_api_is_reached() {
        assert!(read(&head("/index.html"), Bytes::new()).is_err());
        assert!(read(&head("http://127.0.0.1:4700/api/events"), Bytes::new()).is_err());
        assert!(read(&HeaderMap::new(), Bytes::new()).is_err());
    }

    #[test]
    fn an_answer_is_its_head_and_its_body() {
        let mut answer = Response::new(Bytes::from_static(b"\0\xff"));
        *answer.status_mut() = StatusCode::ACCEPTED;
        answer.headers_mut().insert("x-a", "b".parse().unwrap());

        let packed = pack(&answer);

        let length = u32::from_be_bytes(packed[..4].try_into().unwrap()) as usize;
        let head: serde_json::Value = serde_json::from_slice(&packed[4..4 + length]).unwrap();
        assert_eq!(head, json!({ "status": 202, "headers": [["x-a", "b"]] }));
        assert_eq!(&packed[4 + length..], b"\0\xff");
    }
}
