//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use engine::host::{DATA_DIR_VARIABLE, KEY_FILE_VARIABLE, VaultChoice};
use engine::sign_in::CUSTOM_SCHEME;
use url::Url;

/// Receives webhooks, syncs APIs, and proves that nothing was missed; on your own machine.
#[derive(Debug, Parser)]
#[command(name = "patchbay", version, propagate_version = true)]
pub(crate) struct Args {
    /// Where Patchbay keeps everything; the platform's place where it is not given.
    #[arg(long, global = true, env = DATA_DIR_VARIABLE, value_name = "D")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run Patchbay: open its listeners and serve its pages.
    Serve(ServeArgs),
    /// Print an address that logs in to the pages, good once and for 5 minutes.
    Login,
    /// Hand over an address of Patchbay's own kind on which a browser ended: `patchbay://…`.
    Open {
        /// The whole address, in quotes.
        #[arg(value_name = "ADDRESS", value_parser = own_address)]
        address: Url,
    },
    /// Where secrets are kept.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Accounts that are connected; lists them where nothing else is said.
    Connections {
        #[command(subcommand)]
        command: Option<ConnectionsCommand>,
    },
    /// Addresses that receive webhooks; lists them where nothing else is said.
    Inboxes {
        #[command(subcommand)]
        command: Option<InboxesCommand>,
    },
    /// The log of what arrived; lists the newest where nothing else is said.
    Events {
        #[command(subcommand)]
        command: Option<EventsCommand>,
    },
    /// Streams that are kept up to date; lists them where nothing else is said.
    Syncs {
        #[command(subcommand)]
        command: Option<SyncsCommand>,
    },
    /// List the tunnels.
    Tunnels,
    /// What can be connected; lists it where nothing else is said.
    Connectors {
        #[command(subcommand)]
        command: Option<ConnectorsCommand>,
    },
    /// Check the signature of a request, and say what is wrong with it.
    Verify(VerifyArgs),
    /// Look for what is wrong with this installation.
    Doctor(KeyFileArgs),
    /// Copy the database, also while Patchbay is running. Secrets are not in it.
    Backup(BackupArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where the pages and the API listen: loopback only; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4700", value_parser = loopback)]
    pub(crate) api: SocketAddr,
    /// Where webhooks come in; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4701")]
    pub(crate) ingress: SocketAddr,
    /// Where secrets are kept; the keychain where there is one, if it is not given.
    #[arg(long, value_name = "KIND")]
    pub(crate) vault: Option<VaultKind>,
    #[command(flatten)]
    pub(crate) key_file: KeyFileArgs,
    /// Run the sandbox shop, too.
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// What is logged: `info`, `debug`, `engine=debug,info`.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = filter)]
    pub(crate) log: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct KeyFileArgs {
    /// The key of the sealed file; one in the configuration directory where it is not given.
    #[arg(long, env = KEY_FILE_VARIABLE, value_name = "F")]
    pub(crate) vault_key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// The file to make; one in the folder `backups` of the data where it is not given.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum VaultKind {
    /// The keychain of the operating system.
    Keychain,
    /// A file sealed with a key file.
    File,
}

impl From<VaultKind> for VaultChoice {
    fn from(kind: VaultKind) -> Self {
        match kind {
            VaultKind::Keychain => Self::Keychain,
            VaultKind::File => Self::File,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Make a key file, for a machine without a keychain.
    Init(InitArgs),
    /// List the installations that have secrets in the keychain.
    List,
    /// Remove what an installation has in the keychain whose data directory is gone.
    Forget {
        /// Its name, as `vault list` says it.
        installation: String,
        /// Do not ask whether its data directory is gone.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) key_file: KeyFileArgs,
    /// Do nothing where there is a keychain, or a key file already.
    #[arg(long)]
    pub(crate) if_needed: bool,
}

/// How many events are listed where nothing is said.
const LISTED: u16 = 50;

impl Default for EventsCommand {
    fn default() -> Self {
        let filter = FilterArgs::default();
        Self::List { filter, limit: LISTED, before: None, after: None }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// List events, newest first.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// At most so many: 1 to 1,000.
        #[arg(long, default_value_t = LISTED, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Older than this one.
        #[arg(long, value_name = "ID", conflicts_with = "after")]
        before: Option<String>,
        /// Newer than this one.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Print events as they arrive, until it is interrupted.
    Tail {
        #[command(flatten)]
        which: WhichArgs,
        /// First print so many that are there already.
        #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
        lines: u16,
        /// Go on after this one instead.
        #[arg(long, value_name = "ID", conflicts_with = "lines")]
        after: Option<String>,
    },
    /// Show one event.
    #[command(group(ArgGroup::new("part").args(["body", "request"])))]
    Show {
        /// Which one.
        id: String,
        /// Print its body instead, byte for byte.
        #[arg(long)]
        body: bool,
        /// Print its request instead, as `patchbay verify --request` takes it.
        #[arg(long)]
        request: bool,
    },
    /// Count events.
    Count {
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct WhichArgs {
    /// Those of this inbox: its id or its name.
    #[arg(long)]
    pub(crate) inbox: Option<String>,
    /// Those of this type.
    #[arg(long, value_name = "TYPE")]
    pub(crate) r#type: Option<String>,
    /// Those in which these words stand.
    #[arg(short, long, value_name = "WORDS")]
    pub(crate) query: Option<String>,
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct FilterArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Those received at or after this time, such as 2026-05-12T14:05:22Z, or so long ago: 15m, 2h, 3d.
    #[arg(long, value_name = "TIME", value_parser = moment_or_ago)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Those received before this time, written likewise.
    #[arg(long, value_name = "TIME", value_parser = moment_or_ago)]
    pub(crate) until: Option<jiff::Timestamp>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List the connections.
    List,
    /// Make one cheap request to see whether one works.
    Check {
        /// Its id, or its name where only one has it.
        id: String,
    },
    /// Send a mail through one, to see whether mail can be sent.
    SendTestMail {
        /// Its id, or its name where only one has it.
        id: String,
        /// Whom to.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum InboxesCommand {
    /// List the inboxes.
    List,
    /// Make an inbox.
    Create(CreateInboxArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateInboxArgs {
    /// What you call it.
    #[arg(long)]
    pub(crate) name: String,
    /// What its senders are like: `patchbay connectors list` shows them.
    #[arg(long, value_name = "ID")]
    pub(crate) connector: String,
    /// Whose events it receives.
    #[arg(long, value_name = "ID")]
    pub(crate) connection: Option<String>,
    /// A setting of the connector.
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// A secret of the connector, read from standard input; several are read line by line, in the
    /// order in which they are named.
    #[arg(long = "secret", value_name = "NAME=-", value_parser = secret_name)]
    pub(crate) secrets: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncsCommand {
    /// List the syncs.
    List,
    /// Run one now.
    Run {
        /// Its id, or its stream where only one sync has it.
        id: String,
        /// Read everything again, rather than what changed.
        #[arg(long)]
        full: bool,
        /// Wait until it has ended, and show how it is getting on.
        #[arg(long)]
        wait: bool,
    },
    /// Print what the syncs do, until it is interrupted.
    Watch,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectorsCommand {
    /// List what can be connected.
    List,
    /// Read connectors and play what was recorded beside them.
    Check {
        /// Their folders.
        #[arg(required = true, value_name = "DIR")]
        folders: Vec<PathBuf>,
    },
    /// Read the first page of a stream from the real other side, and show what was asked.
    Try(TryArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TryArgs {
    /// The connector's folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Which stream.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,
    /// With the credentials of this connection of a running Patchbay.
    #[arg(long, value_name = "ID", conflicts_with_all = ["way", "settings", "secrets"])]
    pub(crate) connection: Option<String>,
    /// By this way in; the first where it is not given.
    #[arg(long, value_name = "ID")]
    pub(crate) way: Option<String>,
    /// A setting of the connector.
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// A secret of the way in, read from standard input; several are read line by line, in the
    /// order in which they are named. One that is not named is looked for in the variable
    /// `PATCHBAY_SECRET_` with its name in capitals, as `PATCHBAY_SECRET_TOKEN` for `token`, and then
    /// asked for where this is a terminal.
    #[arg(long = "secret", value_name = "NAME=-", value_parser = secret_name)]
    pub(crate) secrets: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The connector whose rule is used: its id, or a folder with a connector.yaml.
    #[arg(long, value_name = "ID|DIR")]
    pub(crate) connector: String,
    /// Which of its rules, by name; the only one where it is not given.
    #[arg(long, value_name = "NAME")]
    pub(crate) scheme: Option<String>,
    /// A JSON file: `{"secrets": {"signing_secret": "…"}, "settings": {"public_url": "https://…"}}`.
    ///
    /// A secret may be a list, the newest first. `certificates` holds what stands at addresses that a
    /// rule would have to fetch: certificates in PEM, sets of keys in JSON, by address.
    /// `trust_anchor_pem` is what certificates must lead to, in place of the roots that browsers trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) with: PathBuf,
    /// A JSON file with the request, as *Export request* makes it: `{"method": "POST", "url":
    /// "https://…", "headers": [["name", "value"]], "body": "…"}`, or `body_base64`.
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// When it arrived: Unix seconds or RFC 3339; now where it is not given.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<jiff::Timestamp>,
}

/// An address of this computer alone: anybody else needs TLS and a password first.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "write an address and a port, such as 127.0.0.1:4700".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only loopback addresses are allowed, such as 127.0.0.1:4700".to_owned())
    }
}

/// What others see of a command line must be worth nothing to them: the code in an address of our
/// own kind is, without the rest of its sign-in.
fn own_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == CUSTOM_SCHEME);
    url.ok_or_else(|| {
        format!(
            "only addresses that begin with {CUSTOM_SCHEME}: are opened; paste another one on the \
             Connections page"
        )
    })
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write NAME=VALUE".to_owned())
}

/// The name of a secret. Its value is never an argument: those stand in the list of processes.
fn secret_name(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, "-")) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("write NAME=- and give the value on standard input".to_owned()),
    }
}

fn filter(text: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::try_new(text);
    parsed.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let unix = text.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    unix.or_else(|| text.parse().ok())
        .ok_or_else(|| "write Unix seconds, or a time such as 2026-05-12T14:05:22Z".to_owned())
}

fn moment_or_ago(text: &str) -> Result<jiff::Timestamp, String> {
    ago(text, jiff::Timestamp::now()).or_else(|| text.parse().ok()).ok_or_else(|| {
        "write a time such as 2026-05-12T14:05:22Z, or how long ago: 30s, 15m, 2h, 3d".to_owned()
    })
}

/// `15m` before `now`.
fn ago(text: &str, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let number = number.parse::<u32>().ok()?;
    let span = jiff::SignedDuration::from_secs(i64::from(number).checked_mul(seconds)?);
    now.checked_sub(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_whole_or_as_how_long_ago() {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let check = |text| ago(text, now).map(|at| at.to_string());

        assert_eq!(check("15m").as_deref(), Some("2026-11-25T11:45:00Z"));
        assert_eq!(check("3d").as_deref(), Some("2026-11-22T12:00:00Z"));
        for none in ["", "m", "-1h", "yesterday", "5", "é"] {
            assert_eq!(check(none), None, "{none}");
        }
        assert!(moment_or_ago("2026-05-12T14:05:22Z").is_ok());
        assert!(moment_or_ago("yesterday").unwrap_err().contains("how long ago"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_api_listens_on_loopback_only() {
        for good in ["127.0.0.1:0", "127.8.8.8:4700", "[::1]:4700"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0:4700", "192.168.1.2:4700", "[::]:4700", "127.0.0.1", "localhost"] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_named_and_never_given() {
        assert_eq!(secret_name("signing_secret=-"), Ok("signing_secret".to_owned()));
        for bad in ["signing_secret=whsec_1", "signing_secret", "=-", ""] {
            assert!(secret_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_seconds_or_text() {
        let at = "2023-11-14T22:13:20Z".parse().unwrap();

        assert_eq!(moment("1700000000"), Ok(at));
        assert_eq!(moment("2023-11-14T23:13:20+01:00"), Ok(at));
        assert!(moment("yesterday").is_err());
    }
}
