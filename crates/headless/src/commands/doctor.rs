//! What is wrong with this installation, in sentences.
//!
//! It works beside a running Patchbay, which then is asked what it sees, and without one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use engine::data_dir::{self, DataDir};
use engine::host::SEALED_FILE;
use engine::vault::Vault;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use crate::args::KeyFileArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{line, say, say_json};
use crate::places;

/// How long a running Patchbay may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Less free space than this is worth a word.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;
/// With less free space than this nothing can be received for long.
const NO_SPACE: u64 = 64 * 1024 * 1024;
/// The ports that `patchbay serve` takes where no others are named.
const PORTS: [u16; 2] = [4700, 4701];
/// The clock cannot be earlier than the day on which this was written.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    /// It works, and could be better.
    Warn,
    /// It has to be put right.
    Bad,
}

/// What was looked at, and what was seen.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn good(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, state: State::Good, message: message.into(), hint: None }
    }

    fn trouble(
        name: &'static str,
        state: State,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { name, state, message: message.into(), hint: Some(hint.into()) }
    }
}

pub(crate) async fn run(
    args: KeyFileArgs,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    let key_file = places::key_file(args.vault_key_file)?;
    let (found, status) = owner(data_dir).await;
    let owned = !matches!(DataDir::owner(data_dir), Err(data_dir::Error::NoOwner(_)));
    let mut findings = vec![found];
    findings.extend(permissions(data_dir, &key_file));
    findings.push(vault(status.as_ref(), data_dir, &key_file).await);
    findings.push(disk(data_dir));
    if !owned {
        findings.extend(PORTS.map(port));
    }
    findings.push(clock(Timestamp::now()));

    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    match format {
        Format::Json => say_json(&json!({ "good": !bad, "findings": findings })),
        Format::Text => findings.iter().for_each(print),
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(finding: &Finding) {
    let mark = match finding.state {
        State::Good => "✓",
        State::Warn => "!",
        State::Bad => "×",
    };
    let message = crate::output::visible(&finding.message);
    say(&line(&[1, 12, 0], &[mark, finding.name, &message]));
    if let Some(hint) = &finding.hint {
        say(&line(&[1, 12, 0], &["", "", hint]));
    }
}

/// Who runs on this data directory, and what it says of itself. Whatever is wrong with it is a
/// finding like any other.
async fn owner(data_dir: &Path) -> (Finding, Option<Value>) {
    let folder = data_dir.display();
    let restart = "End it and start Patchbay again.";
    let finding = match DataDir::owner(data_dir) {
        Err(data_dir::Error::NoOwner(_)) => {
            Finding::good("patchbay", format!("is not running on {folder}"))
        }
        Err(error @ data_dir::Error::NotReady(_)) => {
            Finding::trouble("patchbay", State::Warn, error.to_string(), "Try again in a moment.")
        }
        Err(error) => Finding::trouble("patchbay", State::Bad, error.to_string(), restart),
        Ok(serving) => match status(data_dir).await {
            Ok(status) => return (version(&status, data_dir), Some(status)),
            Err(why) => {
                let message = format!("process {} owns {folder} and {why}", serving.pid);
                Finding::trouble("patchbay", State::Bad, message, restart)
            }
        },
    };
    (finding, None)
}

/// The status of a running Patchbay, or the end of a sentence that says why there is none.
async fn status(data_dir: &Path) -> Result<Value, String> {
    let asking = async {
        let client = Client::connect(data_dir).await?;
        client.get("/api/status", &[]).await
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answered) => {
            answered.map_err(|failure| format!("does not answer: {}", failure.message()))
        }
        Err(_) => Err(format!("did not answer within {PATIENCE:?}")),
    }
}

fn version(status: &Value, data_dir: &Path) -> Finding {
    let folder = data_dir.display();
    let version = status["version"].as_str().unwrap_or_default();
    let ours = env!("CARGO_PKG_VERSION");
    if version == ours {
        Finding::good("patchbay", format!("{version} is running on {folder}"))
    } else {
        Finding::trouble(
            "patchbay",
            State::Warn,
            format!("{version} is running on {folder}, and this is {ours}"),
            "Start Patchbay again, so that both are the same.",
        )
    }
}

/// Whether others on this computer can read what is ours.
#[cfg(unix)]
fn permissions(data_dir: &Path, key_file: &Path) -> Vec<Finding> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let ours = rustix::process::geteuid().as_raw();
    let mut findings = Vec::new();
    let mut open = Vec::new();
    let mut foreign = Vec::new();
    let files = std::fs::read_dir(data_dir).into_iter().flatten().flatten();
    let paths = files.map(|entry| entry.path());
    for path in paths.chain([data_dir.to_owned(), key_file.to_owned()]) {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if metadata.permissions().mode() & 0o077 != 0 {
            open.push(path.display().to_string());
        }
        if metadata.uid() != ours {
            foreign.push(path.display().to_string());
        }
    }
    if !open.is_empty() {
        findings.push(Finding::trouble(
            "permissions",
            State::Bad,
            format!("others can read {}", open.join(", ")),
            "Run `chmod -R go-rwx` on them.",
        ));
    }
    if !foreign.is_empty() {
        findings.push(Finding::trouble(
            "permissions",
            State::Bad,
            format!("{} belongs to another user", foreign.join(", ")),
            "Run Patchbay as that user, or give the files to yourself with `chown`.",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good("permissions", "only you can read the data"));
    }
    findings
}

/// Elsewhere the user's profile says who can read.
#[cfg(not(unix))]
fn permissions(_: &Path, _: &Path) -> Vec<Finding> {
    Vec::new()
}

async fn vault(status: Option<&Value>, data_dir: &Path, key_file: &Path) -> Finding {
    if let Some(status) = status {
        return running_vault(&status["vault"]);
    }
    let sealed = data_dir.join(SEALED_FILE);
    if sealed.exists() && !key_file.exists() {
        return Finding::trouble(
            "vault",
            State::Bad,
            format!("{} is there, and its key file is not", sealed.display()),
            "Bring the key file back, or name it with --vault-key-file.",
        );
    }
    match Vault::keychain("doctor").await {
        Ok(_) => Finding::good("vault", "the keychain keeps what is written"),
        Err(_) if key_file.exists() => {
            Finding::good("vault", format!("a sealed file under {}", key_file.display()))
        }
        Err(error) => {
            let error = api::error::ApiError::from(error);
            let detail = error.detail();
            let hint = detail.hint.clone().unwrap_or_default();
            Finding::trouble("vault", State::Bad, detail.message.clone(), hint)
        }
    }
}

fn running_vault(vault: &Value) -> Finding {
    let kind = match vault["kind"].as_str() {
        Some("keychain") => "the keychain",
        Some("sealed_file") => "a sealed file",
        Some("memory") => "memory",
        _ => "none",
    };
    if vault["state"] == "ready" {
        return Finding::good("vault", format!("{kind} is ready"));
    }
    let text = |name: &str| vault[name].as_str().unwrap_or_default().to_owned();
    Finding::trouble("vault", State::Bad, text("message"), text("hint"))
}

fn disk(data_dir: &Path) -> Finding {
    // A data directory that is not there yet is made on the disk of what is above it.
    let there = data_dir.ancestors().find(|folder| folder.exists()).unwrap_or(data_dir);
    match fs4::available_space(there) {
        Err(error) => Finding::trouble(
            "disk",
            State::Bad,
            format!("{} cannot be looked at: {error}", there.display()),
            "Check that the folder can be read.",
        ),
        Ok(free) => {
            let message = format!("{} MB are free", free / (1024 * 1024));
            let hint = "Make room: Patchbay receives nothing while the disk is full.";
            match free {
                0..NO_SPACE => Finding::trouble("disk", State::Bad, message, hint),
                NO_SPACE..LITTLE_SPACE => Finding::trouble("disk", State::Warn, message, hint),
                _ => Finding::good("disk", message),
            }
        }
    }
}

fn port(port: u16) -> Finding {
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Ok(_) => Finding::good("port", format!("{port} is free")),
        Err(error) => Finding::trouble(
            "port",
            State::Warn,
            format!("{port} cannot be taken: {error}"),
            "End the program that uses it, or choose another with --api or --ingress.",
        ),
    }
}

/// Senders sign with their time: a clock that is minutes off makes every signature stale.
fn clock(now: Timestamp) -> Finding {
    let zone = jiff::tz::TimeZone::system();
    let shown = now.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let earliest: Timestamp = EARLIEST.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    if now < earliest {
        return Finding::trouble(
            "clock",
            State::Bad,
            format!("it says {shown}, which is past"),
            "Set the clock: with a wrong one every signature looks stale.",
        );
    }
    Finding::good("clock", format!("it says {shown}"))
}
