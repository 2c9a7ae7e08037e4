//! Webhooks: who wants to be told of what, and telling them.
//!
//! Each webhook has a queue of its own and starts its deliveries in the order of the events, some
//! at a time. What is not answered with 2xx is sent again a few times, with the same `webhook-id`
//! and a new timestamp, and then given up. Faults strike here, where a real network would.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook as Signer,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::shop::{EVENT_TYPES, Event};
use crate::{Shared, locked, sign_in};

/// The most webhooks there can be.
const MOST: usize = 20;
/// How long an event that is to be overtaken waits for one that overtakes it.
const REORDER_WAIT: Duration = Duration::from_secs(2);
/// How long a receiver has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a webhook was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the body must be {{\"url\": …, \"events\": […]}}")]
    Body,
    #[error("`url` must be an http or https address")]
    Url,
    #[error("`events` must name at least one of {}", EVENT_TYPES.join(", "))]
    Events,
    #[error("there are {MOST} webhooks already")]
    TooMany,
}

/// A webhook as its owner sees it; the secret only when it is made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct View {
    id: String,
    url: String,
    events: Vec<String>,
    created_at: String,
}

/// An event that waits to be sent, and since when.
type Queued = (Arc<Event>, Instant);

#[derive(Debug)]
struct Webhook {
    view: View,
    queue: mpsc::UnboundedSender<Queued>,
    gone: CancellationToken,
}

/// All webhooks, and how their deliveries went.
#[derive(Debug)]
pub(crate) struct Webhooks {
    client: reqwest::Client,
    list: Mutex<BTreeMap<u64, Webhook>>,
    made: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Webhooks {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent("Sandbox-Shop/1")
            .build()?;
        Ok(Self {
            client,
            list: Mutex::default(),
            made: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Makes one; the answer is the only place where its secret is told.
    pub(crate) fn create(
        &self,
        shared: &Shared,
        url: &str,
        events: Vec<String>,
    ) -> Result<serde_json::Value, Error> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or(Error::Url)?;
        let known = |event: &String| EVENT_TYPES.contains(&event.as_str());
        if events.is_empty() || !events.iter().all(known) {
            return Err(Error::Events);
        }
        let mut list = locked(&self.list);
        if list.len() >= MOST {
            return Err(Error::TooMany);
        }

        let id = sign_in::secret("wh_");
        let key = shared.signing_key(&id);
        let secret = format!("whsec_{}", BASE64_STANDARD.encode(key));
        let created_at = format!("{:.6}", shared.now());
        let view = View { id, url: url.into(), events, created_at };
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        list.insert(made, start(shared, view.clone(), key));
        Ok(json!({
            "id": view.id,
            "url": view.url,
            "events": view.events,
            "created_at": view.created_at,
            "secret": secret,
        }))
    }

    pub(crate) fn list(&self) -> Vec<View> {
        locked(&self.list).values().map(|webhook| webhook.view.clone()).collect()
    }

    /// Deletes one, with what waits for it; says whether it was there.
    pub(crate) fn delete(&self, id: &str) -> bool {
        let mut list = locked(&self.list);
        let found = list.iter().find(|(_, webhook)| webhook.view.id == id).map(|(&made, _)| made);
        match found.and_then(|made| list.remove(&made)) {
            Some(webhook) => {
                webhook.gone.cancel();
                true
            }
            None => false,
        }
    }

    /// Tells everybody who wants to know what happened.
    pub(crate) fn tell(&self, events: &[Arc<Event>]) {
        let list = locked(&self.list);
        for webhook in list.values() {
            let wanted = events
                .iter()
                .filter(|event| webhook.view.events.iter().any(|kind| kind == event.kind));
            for event in wanted {
                // The queue is gone only when the shop is closing.
                let _ = webhook.queue.send((event.clone(), Instant::now()));
            }
        }
    }
}

fn start(shared: &Shared, view: View, key: [u8; 32]) -> Webhook {
    let (queue, events) = mpsc::unbounded_channel();
    let gone = shared.stopping.child_token();
    let sender = Sender {
        shared: shared.clone(),
        url: view.url.clone(),
        key,
        slots: Arc::new(Semaphore::new(shared.options.webhooks_at_once.max(1))),
        gone: gone.clone(),
    };
    shared.tasks.spawn(async move { gone_or(&sender.gone.clone(), sender.run(events)).await });
    Webhook { view, queue, gone }
}

async fn gone_or(gone: &CancellationToken, work: impl Future<Output = ()>) {
    gone.run_until_cancelled(work).await;
}

/// What delivers the events of one webhook.
#[derive(Clone)]
struct Sender {
    shared: Shared,
    url: String,
    key: [u8; 32],
    slots: Arc<Semaphore>,
    gone: CancellationToken,
}

impl Sender {
    async fn run(self, mut events: mpsc::UnboundedReceiver<Queued>) {
        let mut overtaken: Option<Arc<Event>> = None;
        loop {
            let next = match &overtaken {
                None => events.recv().await,
                Some(_) => match timeout(REORDER_WAIT, events.recv()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.begin(overtaken.take()).await;
                        continue;
                    }
                },
            };
            let Some((event, since)) = next else { return };
            let (faults, seed) = (self.shared.faults(), self.shared.options.seed);
            sleep_until(since + faults.delay()).await;
            if faults.drops(seed, event.number) {
                self.shared.webhooks.dropped.fetch_add(1, Ordering::Relaxed);
            } else if overtaken.is_none() && faults.reorders(seed, event.number) {
                overtaken = Some(event);
            } else {
                self.begin(Some(event)).await;
                self.begin(overtaken.take()).await;
            }
        }
    }

    /// Begins a delivery as soon as there is room for one more.
    async fn begin(&self, event: Option<Arc<Event>>) {
        let Some(event) = event else { return };
        let Ok(slot) = self.slots.clone().acquire_owned().await else { return };
        let sender = self.clone();
        self.shared.tasks.spawn(async move {
            let gone = sender.gone.clone();
            gone_or(&gone, async move {
                let faults = sender.shared.faults();
                let arrived = sender.send(&event).await;
                if faults.duplicates(sender.shared.options.seed, event.number) {
                    sender.send(&event).await;
                }
                drop(slot);
                if !arrived {
                    sender.send_again(&event).await;
                }
            })
            .await;
        });
    }

    async fn send_again(&self, event: &Event) {
        for &wait in &self.shared.options.webhook_retries {
            sleep(wait).await;
            let Ok(_slot) = self.slots.acquire().await else { return };
            if self.send(event).await {
                return;
            }
        }
        self.shared.webhooks.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends an event once; says whether it was taken.
    async fn send(&self, event: &Event) -> bool {
        // The real time, whatever the shop's clock says: receivers compare it with theirs.
        let at = Timestamp::now().as_second();
        let Ok(signature) = Signer::from_bytes(self.key.to_vec())
            .and_then(|signer| signer.sign(&event.id, at, event.body.as_bytes()))
        else {
            return false;
        };
        let answer = self
            .shared
            .webhooks
            .client
            .post(&self.url)
            .header(HEADER_WEBHOOK_ID, &event.id)
            .header(HEADER_WEBHOOK_TIMESTAMP, at)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .header("content-type", "application/json")
            .body(event.body.clone())
            .send()
            .await;
        let taken = answer.is_ok_and(|answer| answer.status().is_success());
        if taken {
            self.shared.webhooks.delivered.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}
