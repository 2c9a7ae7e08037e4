//! `cargo xtask crash`: kill -9 at random points under load, and count from outside.
//!
//! Each round starts the release binary on the same data, sends signed webhooks over several
//! connections, notes each id whose 2xx came back, and kills the process once at least 100 have.
//! The next round begins as real senders do: every message whose answer never came is sent again,
//! and so are some that had one. Afterwards every acknowledged id must be in the log exactly once,
//! and no id twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// What has become of the messages, as their senders know it.
#[derive(Default)]
struct Sent {
    acknowledged: HashSet<String>,
    /// Sent, and the process was gone before it answered.
    unsure: Vec<String>,
}

type Shared = Arc<Mutex<Sent>>;

/// How many acknowledged messages are sent once more after each restart.
const AGAIN: usize = 20;

fn locked(sent: &Shared) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills, counts, and says what was found. Anything lost or doubled is an error.
#[tokio::main]
pub(crate) async fn run(args: &Args) -> Result<()> {
    let binary = product::build("headless", "patchbay")?;
    let dir = tempfile::tempdir_in(binary.parent().context("the binary has no folder")?)?;
    let secret = product::signing_secret();
    let sent = Shared::default();
    let (mut random, mut repeats) = (args.seed, 0);
    let mut path: Option<String> = None;

    for kill in 1..=args.kills {
        let product = Product::start(&binary, dir.path()).await?;
        let inbox = match &path {
            None => product.inbox(&secret).await?,
            Some(path) => reopened(&product, path).await?,
        };
        path = Some(inbox.path.clone());
        repeats += repeat(&inbox, &secret, &sent).await?;
        let before = locked(&sent).acknowledged.len();
        let wanted = before + 100 + usize::try_from(next(&mut random) % 900)?;
        let pause = Duration::from_micros(next(&mut random) % 5_000);

        let senders: Vec<_> = (0..args.connections)
            .map(|sender| {
                let name = format!("{kill}_{sender}");
                tokio::spawn(send(inbox.clone(), secret.clone(), name, sent.clone()))
            })
            .collect();
        while locked(&sent).acknowledged.len() < wanted {
            ensure!(
                senders.iter().any(|sender| !sender.is_finished()),
                "every sender failed before the kill"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(pause).await;
        product.kill()?;
        for sender in senders {
            sender.await??;
        }
        let sent = locked(&sent);
        println!(
            "kill {kill:>3}: {:>5} acknowledged, {:>3} unsure",
            sent.acknowledged.len() - before,
            sent.unsure.len()
        );
    }

    let product = Product::start(&binary, dir.path()).await?;
    let inbox = reopened(&product, path.as_deref().unwrap_or_default()).await?;
    repeats += repeat(&inbox, &secret, &sent).await?;
    let stored = stored(&product).await?;
    let acknowledged = &locked(&sent).acknowledged;
    let lost = acknowledged.iter().filter(|id| !stored.contains_key(*id)).count();
    let doubled = stored.values().filter(|&&times| times > 1).count();
    println!(
        "\n{} kills: {} acknowledged, {repeats} sent again, {} stored, {lost} lost, {doubled} \
         stored twice",
        args.kills,
        acknowledged.len(),
        stored.len()
    );
    ensure!(lost == 0 && doubled == 0, "events were lost or doubled");
    Ok(())
}

/// Sends again what had no answer, and some of what had one. Says how many.
async fn repeat(inbox: &Inbox, secret: &str, sent: &Shared) -> Result<usize> {
    let mut again = std::mem::take(&mut locked(sent).unsure);
    again.extend(locked(sent).acknowledged.iter().take(AGAIN).cloned());
    let (client, signer) = (reqwest::Client::new(), Webhook::new(secret)?);
    for id in &again {
        let answer = message(&client, inbox, &signer, id)?.send().await?;
        ensure!(answer.status().is_success(), "a repeat was answered {}", answer.status());
        locked(sent).acknowledged.insert(id.clone());
    }
    Ok(again.len())
}

/// The message of this id, which is the same each time but for when it is signed.
fn message(
    client: &reqwest::Client,
    inbox: &Inbox,
    signer: &Webhook,
    id: &str,
) -> Result<reqwest::RequestBuilder> {
    let body = format!(r#"{{"type":"crash.test","data":{{"id":"{id}"}}}}"#);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = i64::try_from(now)?;
    Ok(client
        .post(format!("http://{}{}", inbox.address, inbox.path))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signer.sign(id, now, body.as_bytes())?)
        .body(body))
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

/// Sends one message after the other until the process is gone.
async fn send(inbox: Inbox, secret: String, sender: String, sent: Shared) -> Result<()> {
    let (client, signer) = (reqwest::Client::new(), Webhook::new(&secret)?);
    for number in 0u32.. {
        let id = format!("msg_{sender}_{number}");
        match message(&client, &inbox, &signer, &id)?.send().await {
            Ok(answer) if answer.status().is_success() => {
                locked(&sent).acknowledged.insert(id);
            }
            // Overload is an honest answer: the message was not acknowledged.
            Ok(_) => {}
            Err(_) => {
                locked(&sent).unsure.push(id);
                break;
            }
        }
    }
    Ok(())
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
