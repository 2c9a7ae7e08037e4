//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Parser;
use engine::host::{DATA_DIR_VARIABLE, KEY_FILE_VARIABLE};
use url::Url;

/// Where strangers come in, unless another address is given or this one is taken.
pub(crate) const INGRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4701);

/// Receives webhooks, syncs APIs, and proves that nothing was missed; on your own machine.
#[derive(Debug, Clone, Parser)]
#[command(name = "patchbay-desktop", version)]
pub(crate) struct Args {
    /// Where Patchbay keeps everything; the platform's place where it is not given.
    #[arg(long, env = DATA_DIR_VARIABLE, value_name = "D")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where webhooks come in; 127.0.0.1:4701, or a free port where that is taken.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) ingress: Option<SocketAddr>,
    /// Run the sandbox shop, too.
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Start in the tray, without showing the window.
    #[arg(long)]
    pub(crate) hidden: bool,
    /// The key of the sealed file, where this machine has no keychain.
    #[arg(long, env = KEY_FILE_VARIABLE, value_name = "F")]
    pub(crate) vault_key_file: Option<PathBuf>,
    /// An address of Patchbay's own kind that the system was told to open: `patchbay://…`.
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: Option<Url>,
}

impl Args {
    /// What the next start of the computer starts it with: the same, in the tray.
    pub(crate) fn at_login(&self) -> Vec<String> {
        let mut args = vec!["--hidden".to_owned()];
        if let Some(path) = &self.data_dir {
            args.extend(["--data-dir".to_owned(), absolute(path)]);
        }
        if let Some(address) = self.ingress {
            args.extend(["--ingress".to_owned(), address.to_string()]);
        }
        if let Some(path) = &self.vault_key_file {
            args.extend(["--vault-key-file".to_owned(), absolute(path)]);
        }
        args.extend(self.sandbox.then(|| "--sandbox".to_owned()));
        args
    }
}

/// A folder that this start is in means nothing to the next.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
