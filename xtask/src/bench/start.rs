//! `cargo xtask bench start`: how long the headless host takes until it listens, and how much
//! memory it holds then, with nothing in its log.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::product::{self, Product};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How often it is started. The first start makes the database; it is shown apart.
    #[arg(long, default_value_t = 20)]
    times: usize,
}

/// Starts it on the same data again and again and prints the figures.
#[tokio::main]
pub(crate) async fn run(args: &Args) -> Result<()> {
    ensure!(args.times > 1, "two starts are the least that can be compared");
    let binary = product::build("headless", "patchbay")?;
    let dir = tempfile::tempdir_in(binary.parent().context("the binary has no folder")?)?;
    let mut starts = Vec::new();
    let mut memory = 0;
    for _ in 0..args.times {
        let product = Product::start(&binary, dir.path()).await?;
        starts.push(product.listening_after);
        memory = product.resident_kib()?;
    }
    let first = starts.remove(0);
    starts.sort_unstable();
    println!(
        "start to listening: first {}, then median {}, slowest {} of {}",
        millis(first),
        millis(starts[starts.len() / 2]),
        millis(starts[starts.len() - 1]),
        starts.len()
    );
    println!("memory when idle (resident): {:.1} MB", memory as f64 / 1024.0);
    Ok(())
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}
