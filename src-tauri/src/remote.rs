//! Another host, which owns the data: `patchbay serve`, over loopback with its token.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use engine::changes::{Notice, Noun};
use engine::data_dir::{DataDir, Error};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::Value;

/// How long the window waits before it looks for an owner that has gone.
const PAUSE: Duration = Duration::from_secs(1);

/// The host that owns the data.
pub(crate) struct Remote {
    data_dir: PathBuf,
    http: reqwest::Client,
    place: Mutex<Place>,
}

/// Where it listens, and the token of this start of it.
#[derive(Clone)]
struct Place {
    url: String,
    token: String,
}

impl Remote {
    /// Finds it.
    ///
    /// # Errors
    ///
    /// Where there is none, or it is not ready.
    pub(crate) fn connect(data_dir: &Path) -> Result<Self, Error> {
        let place = Place::find(data_dir)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default();
        Ok(Self { data_dir: data_dir.to_owned(), http, place: Mutex::new(place) })
    }

    /// Sends a request on. `None` where the owner cannot be reached.
    ///
    /// An owner that was started again has another port and another token: both are read again,
    /// once. A request that was refused for its token, or not taken at all, has done nothing.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let send = || self.try_send(&parts.method, &path, &parts.headers, body.clone());
        let answer = match send().await {
            Ok(answer) if answer.status() != StatusCode::UNAUTHORIZED => answer,
            Err(error) if !error.is_connect() => return None,
            _ => {
                self.find_again();
                send().await.ok()?
            }
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = answer.bytes().await.ok()?;
        Some(response)
    }

    /// What a route answers, where it answers well.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Bytes::new()).ok()?;
        let answer = self.send(request).await.filter(|answer| answer.status().is_success())?;
        serde_json::from_slice(answer.body()).ok()
    }

    /// Asks for something to be done. `None` where it was not.
    pub(crate) async fn post(&self, path: &str) -> Option<()> {
        let request = Request::post(path).body(Bytes::new()).ok()?;
        self.send(request).await.filter(|answer| answer.status().is_success()).map(|_| ())
    }

    /// Its notices, and one to fetch everything again each time it was lost and found.
    pub(crate) fn notices(&'static self) -> BoxStream<'static, Notice> {
        let connections = futures::stream::unfold(true, move |first| async move {
            if !first {
                tokio::time::sleep(PAUSE).await;
                self.find_again();
            }
            Some((self.listen(first).await, false))
        });
        connections.flatten().boxed()
    }

    /// The notices of one connection.
    async fn listen(&self, first: bool) -> BoxStream<'static, Notice> {
        let answer = self
            .try_send(&http::Method::GET, "/api/changes", &HeaderMap::new(), Bytes::new())
            .await
            .and_then(reqwest::Response::error_for_status);
        let Ok(answer) = answer else { return futures::stream::empty().boxed() };
        let all = Notice { noun: Noun::All, inbox: None, up_to: None, added: 0 };
        let missed = futures::stream::iter((!first).then_some(all));
        let lines = answer.bytes_stream().take_while(|part| std::future::ready(part.is_ok()));
        let notices = lines
            .scan(Vec::new(), |rest, part| {
                rest.extend_from_slice(&part.unwrap_or_default());
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let lines: Vec<u8> = rest.drain(..whole).collect();
                std::future::ready(Some(futures::stream::iter(read(&lines))))
            })
            .flatten();
        missed.chain(notices).boxed()
    }

    async fn try_send(
        &self,
        method: &http::Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let place = self.lock().clone();
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", place.url))
            .bearer_auth(place.token)
            .body(body);
        if let Some(kind) = headers.get(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        request.send().await
    }

    fn find_again(&self) {
        // Where there is no owner now, the next request finds that out.
        if let Ok(place) = Place::find(&self.data_dir) {
            *self.lock() = place;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn find(data_dir: &Path) -> Result<Self, Error> {
        let serving = DataDir::owner(data_dir)?;
        let token = std::fs::read_to_string(&serving.token_file)
            .map_err(|source| Error::Io { path: serving.token_file.clone(), source })?;
        Ok(Self { url: serving.api_url, token: token.trim().to_owned() })
    }
}

/// The notices in some whole lines of server-sent events; each of ours is one line of data.
fn read(lines: &[u8]) -> Vec<Notice> {
    String::from_utf8_lossy(lines)
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str(data.trim()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_from_lines_of_data() {
        let notices = read(b"id: 7\ndata: {\"noun\":\"events\",\"added\":2}\n\n: still here\n");

        assert_eq!(notices.len(), 1);
        assert_eq!((notices[0].noun, notices[0].added), (Noun::Events, 2));
    }
}
