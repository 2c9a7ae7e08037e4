//! The management API of a running Patchbay, whichever host it is.

use std::path::Path;
use std::time::Duration;

use domain::secret::Secret;
use engine::data_dir::{self, DataDir, Serving};
use futures::StreamExt;
use http::Method;
use serde_json::Value;

use crate::failure::Failure;

/// How long an owner that is starting is waited for.
const READY_PATIENCE: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(50);
/// It is on the same machine.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// A sign-in or a check may wait for somebody else's API.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// The owner of a data directory, as a program talks to it.
pub(crate) struct Client {
    http: reqwest::Client,
    api_url: String,
    token: Secret,
}

impl Client {
    /// Finds the owner of `data_dir`; one that is just starting is waited for.
    pub(crate) async fn connect(data_dir: &Path) -> Result<Self, Failure> {
        let serving = owner(data_dir).await?;
        let token = std::fs::read_to_string(&serving.token_file).map_err(|error| {
            let file = serving.token_file.display();
            Failure::new("unusable", format!("{file} cannot be read: {error}"))
                .hint("Run this as the user who runs Patchbay.")
        })?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_PATIENCE)
            .build()
            .map_err(|error| Failure::new("client", error.to_string()))?;
        let token = Secret::new(token.trim().to_owned());
        Ok(Self { http, api_url: serving.api_url, token })
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let request = self.request(Method::GET, path).query(query).timeout(ANSWER_PATIENCE);
        read(send(request).await?).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path).json(body).timeout(ANSWER_PATIENCE);
        read(send(request).await?).await
    }

    /// The bytes of an answer that is no JSON.
    pub(crate) async fn bytes(&self, path: &str) -> Result<bytes::Bytes, Failure> {
        let request = self.request(Method::GET, path).timeout(ANSWER_PATIENCE);
        send(request).await?.bytes().await.map_err(|error| unreachable(&error))
    }

    /// The change notices from now on.
    pub(crate) async fn changes(&self) -> Result<Changes, Failure> {
        let answer = send(self.request(Method::GET, "/api/changes")).await?;
        let bytes = answer.bytes_stream().map(|piece| piece.map(Vec::from)).boxed();
        Ok(Changes { bytes, text: Vec::new() })
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.api_url))
            .bearer_auth(self.token.expose())
    }
}

async fn owner(data_dir: &Path) -> Result<Serving, Failure> {
    let until = tokio::time::Instant::now() + READY_PATIENCE;
    loop {
        match DataDir::owner(data_dir) {
            Err(data_dir::Error::NotReady(_)) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(READY_PAUSE).await;
            }
            found => return Ok(found?),
        }
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
    let answer = request.send().await.map_err(|error| unreachable(&error))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let body = answer.json().await.map_err(|error| unreachable(&error))?;
    Err(Failure::answered(&body))
}

async fn read(answer: reqwest::Response) -> Result<Value, Failure> {
    answer.json().await.map_err(|error| unreachable(&error))
}

fn unreachable(error: &reqwest::Error) -> Failure {
    Failure::new("unreachable", format!("the running Patchbay does not answer: {error}"))
        .hint("Run `patchbay doctor`.")
}

/// Change notices, as they come.
pub(crate) struct Changes {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: Vec<u8>,
}

impl Changes {
    /// The noun of the next notice; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            while let Some(end) = self.text.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                if let Some(noun) = noun(&line) {
                    return Some(noun);
                }
            }
            self.text.extend(self.bytes.next().await?.ok()?);
        }
    }
}

/// The noun that a line of the stream names, if it is one with data.
fn noun(line: &[u8]) -> Option<String> {
    let data = line.strip_prefix(b"data:")?;
    let notice: Value = serde_json::from_slice(data).ok()?;
    notice["noun"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test]
    async fn notices_are_read_however_they_are_cut() {
        let text = b": hello\n\nid: 4\ndata: {\"noun\":\"events\",\"added\":1}\n\nid: 5\ndata: {\"noun\":\"*\",\"added\":0}\n\n";
        let pieces: Vec<_> = text.chunks(7).map(|piece| Ok(piece.to_vec())).collect();
        let mut changes = Changes { bytes: stream::iter(pieces).boxed(), text: Vec::new() };

        assert_eq!(changes.next().await.as_deref(), Some("events"));
        assert_eq!(changes.next().await.as_deref(), Some("*"));
        assert_eq!(changes.next().await, None);
    }
}
