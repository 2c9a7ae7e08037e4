//! Another host, which owns the data: `patchbay serve`, over loopback with its token.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use engine::changes::Notice;
use engine::data_dir::{DataDir, Error};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderMap, Request, Response, StatusCode, header};

use crate::news::News;

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

    /// Whether it is there.
    pub(crate) async fn answers(&self) -> bool {
        let asked = Request::get("/api/health").body(Bytes::new()).ok();
        match asked {
            Some(request) => self.send(request).await.is_some_and(|it| it.status().is_success()),
            None => false,
        }
    }

    /// Its notices, and each time it was lost or found.
    pub(crate) fn news(self: &Arc<Self>) -> BoxStream<'static, News> {
        let connections = futures::stream::unfold((self.clone(), true), async |(remote, first)| {
            if !first {
                tokio::time::sleep(PAUSE).await;
                remote.find_again();
            }
            Some((remote.listen().await.chain(now(News::LOST)), (remote, false)))
        });
        connections.flatten().boxed()
    }

    /// What is heard on one connection.
    async fn listen(&self) -> BoxStream<'static, News> {
        let answer = self
            .try_send(&http::Method::GET, "/api/changes", &HeaderMap::new(), Bytes::new())
            .await
            .and_then(reqwest::Response::error_for_status);
        let Ok(answer) = answer else { return futures::stream::empty().boxed() };
        let lines = answer.bytes_stream().take_while(|part| std::future::ready(part.is_ok()));
        let notices = lines
            .scan(Vec::new(), |rest, part| {
                rest.extend_from_slice(&part.unwrap_or_default());
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let lines: Vec<u8> = rest.drain(..whole).collect();
                std::future::ready(Some(futures::stream::iter(read(&lines))))
            })
            .flatten();
        now(News::LIVE).chain(notices.map(News::Notice)).boxed()
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

fn now(news: News) -> BoxStream<'static, News> {
    futures::stream::iter([news]).boxed()
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
    use engine::changes::Noun;

    use super::*;

    #[test]
    fn notices_are_read_from_lines_of_data() {
        let notices = read(b"id: 7\ndata: {\"noun\":\"events\",\"added\":2}\n\n: still here\n");

        assert_eq!(notices.len(), 1);
        assert_eq!((notices[0].noun, notices[0].added), (Noun::Events, 2));
    }
}
