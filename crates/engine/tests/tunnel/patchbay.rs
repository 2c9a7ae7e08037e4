//! A Patchbay with a data directory of its own, and a small ingress router: the real one belongs
//! to another crate.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as Parameter, State};
use axum::http::StatusCode;
use axum::routing::post as on_post;
use bytes::Bytes;
use domain::id::TunnelId;
use domain::secret::Secrets;
use domain::tunnel::TunnelState;
use engine::clock::SystemClock;
use engine::data_dir::DataDir;
use engine::tunnel::{Environment, ServeIngress, TunnelRequest, TunnelStatus};
use engine::vault::Vault;
use engine::{Config, Engine};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::others::tools;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves `/in/{key}`: probes, and `greeting`, which is sent back.
struct Ingress;

impl ServeIngress for Ingress {
    fn serve(
        &self,
        engine: Engine,
        listener: tokio::net::TcpListener,
        _trusted: Option<http::HeaderName>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/in/{key}", on_post(answer)).with_state((engine, address));
        let router = router.method_not_allowed_fallback(async || StatusCode::NOT_FOUND);
        Box::pin(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
            served.await.unwrap();
        })
    }
}

async fn answer(
    State((engine, listener)): State<(Engine, SocketAddr)>,
    Parameter(key): Parameter<String>,
    body: Bytes,
) -> (StatusCode, Bytes) {
    if let Some(answer) = engine.answer_probe(listener, &key, &body) {
        return (StatusCode::from_u16(answer.status).unwrap(), answer.body);
    }
    if key == "greeting" { (StatusCode::OK, body) } else { (StatusCode::NOT_FOUND, Bytes::new()) }
}

/// The engine, started.
pub(crate) struct Patchbay {
    pub(crate) engine: Engine,
    folder: Option<tempfile::TempDir>,
}

impl Patchbay {
    pub(crate) async fn start() -> Self {
        Self::start_with(environment()).await
    }

    pub(crate) async fn start_with(environment: Environment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let patchbay = Self::start_in(folder.path(), environment).await;
        Self { folder: Some(folder), ..patchbay }
    }

    pub(crate) async fn start_in(folder: &Path, environment: Environment) -> Self {
        let config = Config {
            data_dir: DataDir::own(folder).unwrap(),
            clock: Arc::new(SystemClock),
            vault: Vault::memory(),
            environment,
            sandbox: None,
        };
        let engine = Engine::open(config).await.unwrap();
        engine.start("http://127.0.0.1:1".parse().unwrap(), Arc::new(Ingress)).await;
        Self { engine, folder: None }
    }

    /// Stops it and starts another on the same data.
    pub(crate) async fn restart(self) -> Self {
        let Self { engine, folder } = self;
        engine.stop().await;
        drop(engine);
        let patchbay = Self::start_in(folder.as_ref().unwrap().path(), environment()).await;
        Self { folder, ..patchbay }
    }

    pub(crate) async fn create(&self, request: TunnelRequest) -> TunnelStatus {
        let status = self.engine.create_tunnel(request).await.unwrap();
        assert_eq!(status.state, TunnelState::Off);
        status
    }

    /// Waits for a state, looking again at each change notice.
    pub(crate) async fn wait(
        &self,
        id: TunnelId,
        is_there: impl Fn(&TunnelState) -> bool,
    ) -> TunnelStatus {
        let mut changes = self.engine.changes().watch(None);
        let waiting = async {
            loop {
                let status = self.engine.tunnel(id).await.unwrap();
                if is_there(&status.state) {
                    return status;
                }
                changes.next().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(status) => status,
            Err(_) => panic!("{:?}", self.engine.tunnel(id).await),
        }
    }

    pub(crate) async fn reachable(&self, id: TunnelId) -> TunnelStatus {
        let is_there = |state: &TunnelState| {
            assert!(!matches!(state, TunnelState::Failed { .. }), "{state:?}");
            matches!(state, TunnelState::Reachable { .. })
        };
        self.wait(id, is_there).await
    }

    /// Why it failed, and what to do.
    pub(crate) async fn failed(&self, id: TunnelId) -> (String, Option<String>) {
        let failed = |state: &TunnelState| matches!(state, TunnelState::Failed { .. });
        match self.wait(id, failed).await.state {
            TunnelState::Failed { why, hint } => (why, hint),
            state => panic!("{state:?}"),
        }
    }
}

/// This process's own, with the folder of the tests' tools.
pub(crate) fn environment() -> Environment {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).unwrap();
    let others = std::env::vars_os().filter(|(name, _)| name != "PATH");
    Environment::new(others.chain([(OsString::from("PATH"), path)]))
}

pub(crate) fn request(kind: &str, settings: &[(&str, &str)]) -> TunnelRequest {
    TunnelRequest {
        kind: kind.into(),
        name: String::new(),
        settings: settings.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        secrets: Secrets::new(),
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) async fn post(url: &str, body: &'static str) -> (u16, String) {
    read(reqwest::Client::new().post(url).body(body)).await
}

pub(crate) async fn get(url: &str) -> (u16, String) {
    read(reqwest::Client::new().get(url)).await
}

async fn read(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
