//! The management API of a running Patchbay, as a program uses it that knows `serve.json` alone.

use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::home::Home;

const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
    said: Mutex<Vec<u8>>,
}

impl Api {
    /// That of the Patchbay which runs in this home.
    pub(crate) fn of(home: &Home) -> Self {
        let serving = home.serving();
        let own = |name: &str| serving[name].as_str().unwrap().to_owned();
        Self {
            http: reqwest::Client::new(),
            url: own("api_url"),
            token: std::fs::read_to_string(own("token_file")).unwrap(),
            said: Mutex::default(),
        }
    }

    /// Every byte that was answered.
    pub(crate) fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap().clone()
    }

    /// The status, and the body; a text where that is no JSON.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        self.try_to_call(method, path, body).await.unwrap()
    }

    /// As [`Api::call`], to a Patchbay that may be killed meanwhile.
    pub(crate) async fn try_to_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let headers = format!("{:?}", answer.headers());
        let bytes = answer.bytes().await?;
        self.said.lock().unwrap().extend([headers.as_bytes(), &bytes].concat());
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text().into())))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(&body)).await
    }

    /// The id of what is made.
    pub(crate) async fn make(&self, path: &str, body: Value) -> String {
        let (status, made) = self.post(path, body).await;
        assert_eq!(status, 201, "{path}: {made}");
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn connection(&self, id: &str) -> Value {
        self.get(&format!("/api/connections/{id}")).await
    }

    pub(crate) async fn check(&self, id: &str) -> (u16, Value) {
        self.post(&format!("/api/connections/{id}/check"), json!({})).await
    }

    /// Begins a sign-in. What the provider's page is told.
    pub(crate) async fn authorize(&self, id: &str) -> Url {
        let path = format!("/api/connections/{id}/authorize");
        let (status, begun) = self.post(&path, json!({})).await;
        assert_eq!(status, 200, "{begun}");
        begun["authorize_url"].as_str().unwrap().parse().unwrap()
    }

    /// The user agrees, and the browser comes back with these parameters. The page that it shows.
    pub(crate) async fn come_back(&self, page: &Url, more: &[(&str, &str)]) -> String {
        let told = |name: &str| {
            let found = page.query_pairs().find(|(known, _)| known == name);
            found.unwrap().1.into_owned()
        };
        let mut back: Url = told("redirect_uri").parse().unwrap();
        back.query_pairs_mut().append_pair("state", &told("state")).extend_pairs(more);
        self.http.get(back).send().await.unwrap().text().await.unwrap()
    }

    /// Asks again after each notice until the answer is as it should be.
    pub(crate) async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let request = self.http.get(format!("{}/api/changes", self.url)).bearer_auth(&self.token);
        let mut changes = request.send().await.unwrap().bytes_stream();
        let mut last = Value::Null;
        let waiting = async {
            loop {
                last = self.get(path).await;
                if is_so(&last) {
                    return last.clone();
                }
                changes.next().await.unwrap().unwrap();
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{path} stays {last}"))
    }
}
