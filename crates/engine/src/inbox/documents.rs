//! What stands at addresses that signatures speak of: certificates and sets of keys.
//!
//! The rule says which address is meant, and has looked at its host before: it is https, in the
//! public network, and on a host that the connector names. What was fetched is kept for a while,
//! and so is that nothing could be fetched, since a stranger chooses when we ask. Few are kept, and
//! one is fetched at a time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use domain::reach::{NamedBy, Reach};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::Engine;
use crate::outgoing::{Carried, Request};

/// Most documents that are kept.
const MOST: usize = 64;
/// The largest document, in bytes.
const LARGEST: usize = 256 * 1024;
/// How long a document is taken for what stands there.
const KEPT: SignedDuration = SignedDuration::from_hours(12);
/// How long nothing is asked for anew, when nothing came or a key was missing.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// Documents by their address.
#[derive(Default)]
pub(crate) struct Documents {
    kept: Mutex<HashMap<Url, Kept>>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    /// None where nothing could be fetched.
    text: Option<String>,
    at: Timestamp,
}

/// How new a document has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Any that is kept.
    Kept,
    /// One that was fetched lately: the kept one lacks a key.
    Newer,
}

impl Documents {
    /// What stands at `url`, as it is kept or as `fetch` brings it.
    pub(crate) async fn get<F: Future<Output = Option<String>>>(
        &self,
        url: &Url,
        wanted: Wanted,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Option<String> {
        if let Some(kept) = self.kept(url, wanted, now) {
            return kept.text;
        }
        let _one_at_a_time = self.fetching.lock().await;
        // Somebody else may have fetched it meanwhile.
        if let Some(kept) = self.kept(url, wanted, now) {
            return kept.text;
        }
        let text = fetch().await;
        self.keep(url, text.clone(), now);
        text
    }

    fn kept(&self, url: &Url, wanted: Wanted, now: Timestamp) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(url)?;
        let age = now.duration_since(found.at).abs();
        let most = match (&found.text, wanted) {
            (Some(_), Wanted::Kept) => KEPT,
            (None, _) | (Some(_), Wanted::Newer) => PAUSE,
        };
        (age <= most).then(|| found.clone())
    }

    fn keep(&self, url: &Url, text: Option<String>, at: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What is there is better than nothing, until it is too old.
        let text = text.or_else(|| kept.remove(url).and_then(|kept| kept.text));
        while kept.len() >= MOST && !kept.contains_key(url) {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.at).map(|(url, _)| url.clone());
            let Some(oldest) = oldest else { break };
            kept.remove(&oldest);
        }
        kept.insert(url.clone(), Kept { text, at });
    }
}

impl Engine {
    /// What stands at `url`, which a rule of a connector names; none where it cannot be had.
    pub(super) async fn document(&self, url: &Url, wanted: Wanted) -> Option<String> {
        let documents = &self.inner.documents;
        documents.get(url, wanted, self.now(), || self.fetch_document(url)).await
    }

    async fn fetch_document(&self, url: &Url) -> Option<String> {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let reach = Reach { hosts: vec![host], own_ports: self.own_ports(), ..Reach::default() };
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            named_by: NamedBy::Data,
            headers: HeaderMap::new(),
            credential: Carried::default(),
            carrying: None,
            body: None,
        };
        let answer = match self.inner.outgoing.send(&request, &reach, None).await {
            Ok(answer) if answer.status == 200 && answer.body.len() <= LARGEST => answer,
            Ok(answer) => {
                tracing::warn!(
                    host = %answer.host,
                    status = answer.status,
                    bytes = answer.body.len(),
                    "there is no key or certificate at the address that a sender names"
                );
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, "a key or certificate could not be fetched");
                return None;
            }
        };
        String::from_utf8(answer.body.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn url(number: usize) -> Url {
        format!("https://keys.example/{number}").parse().unwrap()
    }

    /// What is answered, and whether it had to be fetched.
    async fn ask(
        documents: &Documents,
        number: usize,
        wanted: Wanted,
        now: i64,
        there: Option<&str>,
    ) -> (Option<String>, bool) {
        let fetched = Cell::new(false);
        let fetch = || {
            fetched.set(true);
            std::future::ready(there.map(str::to_owned))
        };
        let text = documents.get(&url(number), wanted, at(now), fetch).await;
        (text, fetched.get())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[tokio::test]
    async fn what_was_fetched_is_kept_for_half_a_day() {
        let documents = Documents::default();

        assert_eq!(ask(&documents, 1, Wanted::Kept, 0, Some("a")).await, (some("a"), true));
        assert_eq!(ask(&documents, 1, Wanted::Kept, 43_200, None).await, (some("a"), false));
        assert_eq!(ask(&documents, 1, Wanted::Kept, 43_201, Some("b")).await, (some("b"), true));
    }

    #[tokio::test]
    async fn a_missing_key_is_looked_for_once_a_minute() {
        let documents = Documents::default();
        ask(&documents, 1, Wanted::Kept, 0, Some("a")).await;

        assert_eq!(ask(&documents, 1, Wanted::Newer, 60, Some("b")).await, (some("a"), false));
        assert_eq!(ask(&documents, 1, Wanted::Newer, 61, Some("b")).await, (some("b"), true));
        assert_eq!(ask(&documents, 1, Wanted::Newer, 122, None).await, (None, true));
        assert_eq!(ask(&documents, 1, Wanted::Kept, 123, None).await, (some("b"), false));
    }

    #[tokio::test]
    async fn that_nothing_came_is_kept_for_a_minute() {
        let documents = Documents::default();

        assert_eq!(ask(&documents, 1, Wanted::Kept, 0, None).await, (None, true));
        assert_eq!(ask(&documents, 1, Wanted::Kept, 60, Some("a")).await, (None, false));
        assert_eq!(ask(&documents, 1, Wanted::Kept, 61, Some("a")).await, (some("a"), true));
    }

    #[tokio::test]
    async fn the_oldest_makes_room() {
        let documents = Documents::default();
        for number in 0..=MOST {
            ask(&documents, number, Wanted::Kept, number as i64, Some("a")).await;
        }

        assert!(!ask(&documents, 1, Wanted::Kept, 100, None).await.1);
        assert!(ask(&documents, 0, Wanted::Kept, 100, Some("a")).await.1);
        assert_eq!(documents.kept.lock().unwrap().len(), MOST);
    }
}
