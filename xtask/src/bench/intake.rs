//! `cargo xtask bench intake`: how many webhooks a second are on the disk when they are
//! acknowledged, beside the bare spike and an empty handler in the same run.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::{Figures, Load};
use super::product::{self, Inbox, Product};
use super::{fsync, spike};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How many connections send at once.
    #[arg(long, value_delimiter = ',', default_value = "1,32,256")]
    connections: Vec<usize>,
    /// How large a body is, in bytes.
    #[arg(long, default_value_t = 1024)]
    body: usize,
    /// How long each figure is measured, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// Which of the two servers beside the product a child process is.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Beside {
    /// Answers 204.
    Empty,
    /// Verifies, inserts, commits.
    Spike,
}

/// Runs all of it and prints one table.
#[tokio::main]
pub(crate) async fn run(args: &Args) -> Result<()> {
    let binary = product::build("headless", "patchbay")?;
    let dir = tempfile::tempdir_in(binary.parent().context("the binary has no folder")?)?;
    let (p50, p99) = fsync::measure(dir.path())?;
    println!(
        "intake: bodies of {} B, {} s a figure, synchronous=FULL, one machine for load and server\n\
         fsync of 4 KiB here: p50 {}, p99 {}\n",
        args.body,
        args.seconds,
        millis(p50),
        millis(p99)
    );
    println!(
        "{:>11}  {:<8} {:>9} {:>10} {:>10}  {:>9}",
        "connections", "server", "per s", "p50", "p99", "of spike"
    );

    for &connections in &args.connections {
        let mut of_spike = None;
        for server in ["empty", "spike", "patchbay"] {
            let home = tempfile::tempdir_in(dir.path())?;
            let figures = measure(server, &binary, home.path(), args, connections).await?;
            if server == "spike" {
                of_spike = Some(figures.per_second);
            }
            let share = of_spike
                .map_or(String::new(), |spike| format!("{:.2}", figures.per_second / spike));
            println!(
                "{connections:>11}  {server:<8} {:>9.0} {:>10} {:>10}  {share:>9}",
                figures.per_second,
                millis(figures.p50),
                millis(figures.p99)
            );
        }
    }
    Ok(())
}

async fn measure(
    server: &str,
    binary: &Path,
    dir: &Path,
    args: &Args,
    connections: usize,
) -> Result<Figures> {
    let load = |inbox: Inbox| Load {
        address: inbox.address,
        path: inbox.path,
        secret: product::signing_secret(),
        connections,
        body_bytes: args.body,
        duration: Duration::from_secs(args.seconds),
        run: format!("{server}{connections}"),
    };
    if server == "patchbay" {
        let product = Product::start(binary, dir).await?;
        return load(product.inbox(&product::signing_secret()).await?).run().await;
    }
    let child = BesideServer::start(server, dir).await?;
    load(Inbox { address: child.address, path: "/in/spike".into() }).run().await
}

/// A server beside the product, in a process of its own as the product is.
struct BesideServer {
    child: Child,
    address: SocketAddr,
}

impl BesideServer {
    async fn start(which: &str, dir: &Path) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["beside", which])
            .arg(dir)
            .stdin(Stdio::null())
            .spawn()?;
        let file = dir.join("address");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Ok(text) = std::fs::read_to_string(&file) {
                return Ok(Self { child, address: text.parse()? });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("{which} did not start")
    }
}

impl Drop for BesideServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves one of the two until it is killed; its address goes to `dir/address`.
#[tokio::main]
pub(crate) async fn beside(which: Beside, dir: &Path) -> Result<()> {
    let router = match which {
        Beside::Empty => spike::empty(),
        Beside::Spike => spike::spike(dir, &product::signing_secret())?,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let part = dir.join("address.part");
    std::fs::write(&part, listener.local_addr()?.to_string())?;
    std::fs::rename(part, dir.join("address"))?;
    axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |tcp| drop(tcp.set_nodelay(true))),
        router,
    )
    .await?;
    Ok(())
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
