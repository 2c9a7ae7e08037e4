//! The release binary as a user runs it, on data of its own, for a bench or a crash test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use url::Url;

/// The headless host at work. Dropping it ends it at once.
pub(crate) struct Product {
    child: Child,
    api: Url,
    token: String,
    http: reqwest::Client,
    /// When it was started, and how long it took until it listened.
    pub(crate) listening_after: Duration,
}

/// An inbox that takes signed webhooks.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    /// Its listener.
    pub(crate) address: SocketAddr,
    /// Its path there.
    pub(crate) path: String,
}

/// The secret of senders and receivers that are measured: the same for all that are compared, and
/// worth nothing.
pub(crate) fn signing_secret() -> String {
    use base64::Engine as _;
    let bytes: [u8; 32] =
        std::array::from_fn(|place| u8::try_from(place).unwrap_or_default() ^ 0x5a);
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// Where a release binary of a package of ours is, built afresh.
pub(crate) fn build(package: &str, name: &str) -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", package, "--bin", name])
        .status()?;
    ensure!(status.success(), "the release binary does not build");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let target =
        metadata["target_directory"].as_str().context("cargo names no target directory")?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(Path::new(target).join("release").join(file))
}

impl Product {
    /// Starts it on `dir`, which holds the data and, beside it, the key of its sealed vault.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Result<Self> {
        let data = dir.join("data");
        let key = dir.join("vault.key");
        if !key.exists() {
            let status = Command::new(binary)
                .args(["vault", "init", "--vault-key-file"])
                .arg(&key)
                .stdout(Stdio::null())
                .status()?;
            ensure!(status.success(), "the vault's key could not be made");
        }
        // What an earlier process left behind must not be taken for this one's.
        let _ = std::fs::remove_file(data.join("serve.json"));

        let begun = Instant::now();
        let child = Command::new(binary)
            .args(["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0", "--vault", "file"])
            .arg("--data-dir")
            .arg(&data)
            .arg("--vault-key-file")
            .arg(&key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut product = Self {
            child,
            api: Url::parse("http://127.0.0.1/")?,
            token: String::new(),
            http: reqwest::Client::new(),
            listening_after: Duration::ZERO,
        };
        let serving = product.serving(&data.join("serve.json")).await?;
        product.listening_after = begun.elapsed();
        product.api = serving["api_url"].as_str().context("serve.json has no api_url")?.parse()?;
        let token_file = serving["token_file"].as_str().context("serve.json has no token_file")?;
        product.token = std::fs::read_to_string(token_file)?.trim().to_owned();
        Ok(product)
    }

    async fn serving(&mut self, file: &Path) -> Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if let Ok(text) = std::fs::read(file) {
                return Ok(serde_json::from_slice(&text)?);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("patchbay serve ended at once: {status}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("patchbay serve was not ready within a minute")
    }

    /// Asks the management API.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(self.api.join(path)?).bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Tells the management API.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(self.api.join(path)?).bearer_auth(&self.token).json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Makes an inbox for signed webhooks.
    pub(crate) async fn inbox(&self, secret: &str) -> Result<Inbox> {
        let body = json!({
            "name": "Load", "connector": "standard-webhooks",
            "secrets": { "signing_secret": secret }, "settings": {},
        });
        let inbox = self.post("/api/inboxes", &body).await?;
        Inbox::at(inbox["local_url"].as_str().context("the inbox has no local_url")?)
    }

    /// How much memory it holds, in KiB, as the kernel counts it.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("no VmRSS")?.parse()?)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        // It has ended already where it was killed on purpose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Inbox {
    /// The inbox at this address.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let url: Url = url.parse()?;
        let port = url.port().context("the inbox's address has no port")?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), path: url.path().to_owned() })
    }
}
