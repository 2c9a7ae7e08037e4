//! `cargo xtask crash`: kill -9 at random points under load, and count from outside.
//!
//! Each round starts the release binary on the same data, sends signed webhooks over several
//! connections, notes each id whose 2xx came back, and kills the process once at least 100 have.
//! Afterwards every noted id must be in the log exactly once, and no id twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use standardwebhooks::Webhook;

use crate::bench::product::{self, Inbox, Product};

/// How it is done.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How many times the process is killed.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// How many connections send at once.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Where the random points come from; the same seed kills after the same counts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The next of a row of numbers that look random (SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Kills, counts, and says what was found. Anything lost or doubled is an error.
#[tokio::main]
pub(crate) async fn run(args: &Args) -> Result<()> {
    let binary = product::build()?;
    let dir = tempfile::tempdir_in(binary.parent().context("the binary has no folder")?)?;
    let secret = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let mut random = args.seed;
    let mut path: Option<String> = None;

    for kill in 1..=args.kills {
        let product = Product::start(&binary, dir.path()).await?;
        let inbox = match &path {
            None => product.inbox(secret).await?,
            Some(path) => reopened(&product, path).await?,
        };
        path = Some(inbox.path.clone());
        let before = acknowledged.lock().map_or(0, |ids| ids.len());
        let wanted = before + 100 + usize::try_from(next(&mut random) % 900)?;
        let pause = Duration::from_micros(next(&mut random) % 5_000);

        let senders: Vec<_> = (0..args.connections)
            .map(|sender| {
                tokio::spawn(send(
                    inbox.clone(),
                    secret,
                    format!("{kill}_{sender}"),
                    acknowledged.clone(),
                ))
            })
            .collect();
        while acknowledged.lock().map_or(0, |ids| ids.len()) < wanted {
            ensure!(
                senders.iter().any(|sender| !sender.is_finished()),
                "every sender failed before the kill"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(pause).await;
        product.kill()?;
        for sender in senders {
            sender.await?;
        }
        let now = acknowledged.lock().map_or(0, |ids| ids.len());
        println!("kill {kill:>3}: {:>5} acknowledged, {now} in all", now - before);
    }

    let product = Product::start(&binary, dir.path()).await?;
    let stored = stored(&product).await?;
    let acknowledged = acknowledged.lock().map_or_else(|_| HashSet::new(), |ids| ids.clone());
    let lost = acknowledged.iter().filter(|id| !stored.contains_key(*id)).count();
    let doubled = stored.values().filter(|&&times| times > 1).count();
    println!(
        "\n{} kills: {} acknowledged, {} stored, {lost} lost, {doubled} stored twice",
        args.kills,
        acknowledged.len(),
        stored.len()
    );
    ensure!(lost == 0 && doubled == 0, "events were lost or doubled");
    Ok(())
}

/// The same inbox after a restart: its path stays, its port does not.
async fn reopened(product: &Product, path: &str) -> Result<Inbox> {
    let inboxes = product.get("/api/inboxes").await?;
    inboxes["inboxes"]
        .as_array()
        .context("no inboxes")?
        .iter()
        .filter_map(|inbox| inbox["local_url"].as_str())
        .filter_map(|url| Inbox::at(url).ok())
        .find(|inbox| inbox.path == path)
        .context("the inbox is gone")
}

/// Sends until the process is gone, each message until it is acknowledged or the process is gone.
async fn send(
    inbox: Inbox,
    secret: &'static str,
    sender: String,
    acknowledged: Arc<Mutex<HashSet<String>>>,
) {
    let Ok(signer) = Webhook::new(secret) else { return };
    let client = reqwest::Client::new();
    let url = format!("http://{}{}", inbox.address, inbox.path);
    for number in 0u32.. {
        let id = format!("msg_{sender}_{number}");
        let body = format!(r#"{{"type":"crash.test","data":{{"id":"{id}"}}}}"#);
        let now = jiff::Timestamp::now().as_second();
        let Ok(signature) = signer.sign(&id, now, body.as_bytes()) else { return };
        let request = client
            .post(&url)
            .header("webhook-id", &id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature)
            .body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                if let Ok(mut ids) = acknowledged.lock() {
                    ids.insert(id);
                }
            }
            // Overload is an honest answer: the message was not acknowledged.
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Each external id in the log, and how many events carry it.
async fn stored(product: &Product) -> Result<HashMap<String, u32>> {
    let mut stored = HashMap::new();
    let mut path = "/api/events?limit=1000".to_owned();
    loop {
        let page = product.get(&path).await?;
        for event in page["events"].as_array().context("no events")? {
            let id = event["external_id"].as_str().context("an event has no external id")?;
            *stored.entry(id.to_owned()).or_insert(0) += 1;
        }
        match &page["next"] {
            Value::String(next) => path = format!("/api/events?limit=1000&before={next}"),
            _ => return Ok(stored),
        }
    }
}
