//! What is wrong with this installation, in sentences.
//!
//! It works beside a running Patchbay, which then is asked what it sees, and without one.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use engine::data_dir::{self, DataDir};
use engine::host::{self, SEALED_FILE};
use engine::store;
use engine::vault::Vault;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use crate::args::KeyFileArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{bytes, line, say, say_json};
use crate::places;

/// How long a running Patchbay may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Less free space than this is worth a word.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;
/// With less free space than this nothing can be received for long.
const NO_SPACE: u64 = 64 * 1024 * 1024;
/// How long the database is read for.
const CHECKING: Duration = Duration::from_secs(20);
/// How long a program on one of our ports may take to say whether it is Patchbay.
const KNOCK: Duration = Duration::from_secs(1);
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
    findings.extend(status.as_ref().and_then(lost_secrets));
    findings.extend(others(data_dir).await);
    findings.extend(database(data_dir));
    findings.push(disk(data_dir));
    if !owned {
        findings.extend(ports());
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
        // The mode of a link says nothing.
        if metadata.is_symlink() {
            findings.push(leads_away(&path));
        } else if metadata.permissions().mode() & 0o077 != 0 {
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
    if open.is_empty() && foreign.is_empty() {
        findings.push(Finding::good("permissions", "only you can read the data"));
    }
    findings
}

/// What is kept elsewhere is kept by the rules of that place.
#[cfg(unix)]
fn leads_away(path: &Path) -> Finding {
    let target = std::fs::read_link(path).unwrap_or_default();
    Finding::trouble(
        "permissions",
        State::Warn,
        format!("{} is a link to {}", path.display(), target.display()),
        "Patchbay does not look after what is outside of its folder: see who can read it there.",
    )
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
    if data_dir.join(SEALED_FILE).exists() {
        return sealed_vault(data_dir, key_file).await;
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

/// The sealed file that is in use, as the next start will find it.
async fn sealed_vault(data_dir: &Path, key_file: &Path) -> Finding {
    let state = match host::sealed_vault(data_dir, key_file) {
        Ok(vault) => vault.state().await.map_err(api::error::ApiError::from),
        Err(error) => Err(error.into()),
    };
    match state {
        Ok(()) => Finding::good("vault", format!("a sealed file under {}", key_file.display())),
        Err(error) => told("vault", &error),
    }
}

/// A finding in the words that the pages have for it.
fn told(name: &'static str, error: &api::error::ApiError) -> Finding {
    let detail = error.detail();
    let hint = detail.hint.clone().unwrap_or_default();
    Finding::trouble(name, State::Bad, detail.message.clone(), hint)
}

/// What has to be given its secrets again.
fn lost_secrets(status: &Value) -> Option<Finding> {
    let lost = status["vault"]["lost"].as_array().filter(|lost| !lost.is_empty())?;
    let names: Vec<_> =
        lost.iter().filter_map(|it| it["name"].as_str()).map(|it| format!("“{it}”")).collect();
    Some(Finding::trouble(
        "secrets",
        State::Bad,
        format!("the secrets of {} are no longer in the vault", names.join(", ")),
        "Enter them again in Connections and Inboxes; a tunnel has to be made again.",
    ))
}

/// What other installations have in the keychain. It is theirs, unless they are gone: then nobody
/// but the user can say so. What this one has left there is removed by its next start.
async fn others(data_dir: &Path) -> Option<Finding> {
    let own = data_dir::installation_of(data_dir).ok()?.unwrap_or_default();
    let keychain = Vault::unproved_keychain(&own);
    keychain.state().await.ok()?;
    let mut others = keychain.installations().await.ok()?;
    others.remove(&own);
    let names: Vec<_> = others.keys().map(String::as_str).collect();
    if names.is_empty() {
        return None;
    }
    let message = format!("the keychain also holds secrets of {}", names.join(", "));
    let hint = "Where the data directory of one is gone for good, run `patchbay vault forget` with \
                its name.";
    Some(Finding { hint: Some(hint.into()), ..Finding::good("others", message) })
}

/// Whether the database is whole, as far as that shows in the time there is, and what copies of it
/// there are. Nothing where nothing has been stored yet.
fn database(data_dir: &Path) -> Option<Finding> {
    match store::examine(data_dir, CHECKING) {
        Ok(health) => {
            let size = bytes(health.bytes);
            Some(if health.checked {
                Finding::good("database", format!("it is whole: {size}"))
            } else {
                let message = format!(
                    "nothing is wrong with what was read of {size} within {} s",
                    CHECKING.as_secs()
                );
                Finding::good("database", message)
            })
        }
        Err(store::Error::Gone { .. }) if !data_dir::is_settled(data_dir) => None,
        Err(error) => {
            let mut finding = told("database", &error.into());
            finding.hint = finding.hint.map(|hint| format!("{hint} {}", copies(data_dir)));
            Some(finding)
        }
    }
}

fn copies(data_dir: &Path) -> String {
    let copies = store::copies(data_dir);
    match copies.first() {
        None => "There are no copies in the data directory.".to_owned(),
        Some(newest) => {
            format!("The newest of {} there is {}.", copies.len(), newest.display())
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
    let state = if vault["state"] == "opening" { State::Warn } else { State::Bad };
    Finding::trouble("vault", state, text("message"), text("hint"))
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
            let message = format!("{} are free", bytes(free));
            let hint = "Make room: Patchbay receives nothing while the disk is full.";
            match free {
                0..NO_SPACE => Finding::trouble("disk", State::Bad, message, hint),
                NO_SPACE..LITTLE_SPACE => Finding::trouble("disk", State::Warn, message, hint),
                _ => Finding::good("disk", message),
            }
        }
    }
}

/// Whether `patchbay serve` would get the ports that it takes by itself.
fn ports() -> [Finding; 2] {
    let other = another_patchbay(PORTS[0]);
    PORTS.map(|port| {
        let Err(error) = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) else {
            return Finding::good("port", format!("{port} is free"));
        };
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        match &other {
            Some(version) if taken => {
                let message = if port == PORTS[0] {
                    format!("{port} is that of another Patchbay ({version}), with other data")
                } else {
                    format!("{port} is taken, most likely by that other Patchbay")
                };
                let hint = "Both can run: give this one other ports with --api and --ingress.";
                Finding::trouble("port", State::Warn, message, hint)
            }
            _ => Finding::trouble(
                "port",
                State::Warn,
                format!("{port} cannot be taken: {error}"),
                "End the program that uses it, or choose another with --api or --ingress.",
            ),
        }
    })
}

/// The version of the Patchbay on this port, if it is one.
fn another_patchbay(port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, KNOCK).ok()?;
    stream.set_read_timeout(Some(KNOCK)).ok()?;
    stream.set_write_timeout(Some(KNOCK)).ok()?;
    let request =
        format!("GET /api/health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // Whoever it is may talk without end.
    let _ = stream.take(16 * 1024).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let health: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    (health["status"] == "ok").then(|| health["version"].as_str().map(str::to_owned))?
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
