//! The proof that a tunnel works: a signed request that goes out to its public address and comes
//! back on its own listener.
//!
//! A probe carries a nonce and its signature under a key that only this tunnel's run knows, and
//! is answered with another signature of the same nonce. So neither a page that answers everything
//! with 200 nor another Patchbay behind the same address is taken for ours, and both directions
//! are proved. A probe is good once, for as long as it waits, and on one listener; without one the
//! path that it uses does not exist.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::inbox::Answer;

/// How long a probe may be under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read; ours is shorter.
const ANSWER_BYTES: usize = 1024;

/// What a tunnel's probes are signed with.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; 64]>);

impl Key {
    /// A new one.
    pub(super) fn random() -> Result<Self, Fault> {
        let mut key = Zeroizing::new([0; 64]);
        getrandom::fill(key.as_mut()).map_err(|_| Fault::Randomness)?;
        Ok(Self(key))
    }

    fn sign(&self, purpose: &str, nonce: &str) -> Hmac<Sha256> {
        let key: &[u8; 64] = &self.0;
        Hmac::<Sha256>::new(key.into()).chain_update(purpose).chain_update(nonce)
    }
}

/// Why a probe proved nothing: whole sentences, for the person who looks at the tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The system gives no random numbers.
    #[error("The system gave no random numbers.")]
    Randomness,
    /// The client could not be set up, or the address is none.
    #[error("The probe could not be sent: {0}.")]
    Send(String),
    /// Nothing came back in time.
    #[error("The probe did not come back within {} seconds.", PATIENCE.as_secs())]
    Late,
    /// Somebody else answered.
    #[error("Something else answered at this address, with status {0}.")]
    Stranger(u16),
    /// It came in, but its answer did not go out unchanged.
    #[error("The probe arrived here, but its answer came back changed, with status {0}.")]
    Changed(u16),
}

/// The probes that wait, of all tunnels.
#[derive(Default)]
pub(super) struct Probes {
    client: OnceLock<reqwest::Client>,
    waiting: Mutex<HashMap<String, Waiting>>,
}

struct Waiting {
    listener: SocketAddr,
    key: Key,
    nonce: String,
    arrived: bool,
}

impl Probes {
    /// Sends a probe through `address` and waits until it has proved that this leads to
    /// `listener`, or that it does not.
    pub(super) async fn send(
        &self,
        address: &str,
        listener: SocketAddr,
        key: &Key,
    ) -> Result<(), Fault> {
        let (path, nonce) = (random_text()?, random_text()?);
        let signature = hex::encode(key.sign("probe", &nonce).finalize().into_bytes());
        let expected = key.sign("answer", &nonce);
        let client = self.client()?;

        let waiting = Waiting { listener, key: key.clone(), nonce: nonce.clone(), arrived: false };
        let ticket = Ticket::new(self, path, waiting);
        let request = client
            .post(format!("{address}/in/{}", ticket.path))
            .header(http::header::CONTENT_TYPE, "text/plain")
            .body(format!("{nonce}.{signature}"));
        let answer = tokio::time::timeout(PATIENCE, answer_of(request)).await;

        let (status, body) = answer.map_err(|_| Fault::Late)??;
        let ours = hex::decode(&body).is_ok_and(|body| expected.verify_slice(&body).is_ok());
        match (ticket.arrived(), ours) {
            (true, true) => Ok(()),
            (true, false) => Err(Fault::Changed(status)),
            (false, _) => Err(Fault::Stranger(status)),
        }
    }

    /// The answer to a probe that waits for this path on this listener and is signed as it was
    /// sent; none for everything else.
    pub(super) fn answer(&self, listener: SocketAddr, path: &str, body: &Bytes) -> Option<Answer> {
        let (nonce, signature) = std::str::from_utf8(body).ok()?.split_once('.')?;
        let signature = hex::decode(signature).ok()?;
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.get_mut(path)?;
        if waiting.arrived || waiting.listener != listener || waiting.nonce != nonce {
            return None;
        }
        waiting.key.sign("probe", nonce).verify_slice(&signature).ok()?;
        waiting.arrived = true;
        let answer = hex::encode(waiting.key.sign("answer", nonce).finalize().into_bytes());
        Some(Answer {
            status: 200,
            headers: vec![("content-type".into(), "text/plain".into())],
            body: answer.into(),
        })
    }

    fn client(&self) -> Result<&reqwest::Client, Fault> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A connection of an earlier probe would prove the past.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Fault::Send(root(&error)))?;
        Ok(self.client.get_or_init(|| client))
    }
}

async fn answer_of(request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), Fault> {
    let sent = |error: reqwest::Error| Fault::Send(root(&error));
    let mut answer = request.send().await.map_err(sent)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(sent)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES {
            break;
        }
    }
    Ok((answer.status().as_u16(), body))
}

/// What is at the bottom of an error: "connection refused" rather than the address, which is shown
/// already and whose path is nobody's business.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn random_text() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Fault::Randomness)?;
    Ok(hex::encode(bytes))
}

/// A place among the waiting probes, given up when it is dropped.
struct Ticket<'a> {
    probes: &'a Probes,
    path: String,
}

impl<'a> Ticket<'a> {
    fn new(probes: &'a Probes, path: String, waiting: Waiting) -> Self {
        let mut all = probes.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(path.clone(), waiting);
        Self { probes, path }
    }

    fn arrived(&self) -> bool {
        let all = self.probes.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&self.path).is_some_and(|waiting| waiting.arrived)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut all = self.probes.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use axum::Router;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::post;

    const ELSEWHERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    /// Serves on a free port; `answer` makes the status and body of it from the key, the body and
    /// the listener's address.
    async fn serve(
        answer: impl Fn(String, Bytes, SocketAddr) -> (u16, Bytes) + Clone + Send + Sync + 'static,
    ) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handler = move |Path(key): Path<String>, body: Bytes| async move {
            let (status, body) = answer(key, body, address);
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let router = Router::new().route("/in/{key}", post(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    async fn ours(probes: &Arc<Probes>) -> SocketAddr {
        let probes = probes.clone();
        serve(move |key, body, listener| match probes.answer(listener, &key, &body) {
            Some(answer) => (answer.status, answer.body),
            None => (404, Bytes::new()),
        })
        .await
    }

    #[tokio::test]
    async fn a_probe_that_comes_back_proves_its_own_listener_and_no_other() {
        let probes = Arc::new(Probes::default());
        let key = Key::random().unwrap();
        let listener = ours(&probes).await;
        let address = format!("http://{listener}");

        assert!(probes.send(&address, listener, &key).await.is_ok());
        let crossed = probes.send(&address, ELSEWHERE, &key).await;

        assert!(matches!(crossed, Err(Fault::Stranger(404))), "{crossed:?}");
        assert!(probes.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_page_that_answers_everything_proves_nothing() {
        let probes = Probes::default();
        let stranger = serve(|_, body, _| (200, body)).await;

        let fault =
            probes.send(&format!("http://{stranger}"), stranger, &Key::random().unwrap()).await;

        assert!(matches!(fault, Err(Fault::Stranger(200))), "{fault:?}");
    }

    #[tokio::test]
    async fn an_answer_that_is_changed_on_its_way_proves_nothing() {
        let probes = Arc::new(Probes::default());
        let inner = probes.clone();
        let changing = serve(move |key, body, listener| {
            inner.answer(listener, &key, &body).unwrap();
            (502, Bytes::from_static(b"bad gateway"))
        })
        .await;

        let fault =
            probes.send(&format!("http://{changing}"), changing, &Key::random().unwrap()).await;

        assert!(matches!(fault, Err(Fault::Changed(502))), "{fault:?}");
    }

    #[tokio::test]
    async fn where_nobody_listens_the_reason_is_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);

        let fault = Probes::default()
            .send(&format!("http://{address}"), address, &Key::random().unwrap())
            .await
            .unwrap_err();

        assert_eq!(fault.to_string(), "The probe could not be sent: Connection refused.");
    }

    #[test]
    fn only_a_waiting_probe_with_its_signature_is_answered_and_only_once() {
        let probes = Probes::default();
        let key = Key::random().unwrap();
        let signed = |key: &Key, nonce: &str| {
            let signature = hex::encode(key.sign("probe", nonce).finalize().into_bytes());
            Bytes::from(format!("{nonce}.{signature}"))
        };
        let waiting =
            Waiting { listener: ELSEWHERE, key: key.clone(), nonce: "n".into(), arrived: false };
        let ticket = Ticket::new(&probes, "path".into(), waiting);

        for body in [signed(&Key::random().unwrap(), "n"), signed(&key, "m"), Bytes::new()] {
            assert_eq!(probes.answer(ELSEWHERE, "path", &body), None);
        }
        assert_eq!(probes.answer(ELSEWHERE, "other", &signed(&key, "n")), None);
        assert!(probes.answer(ELSEWHERE, "path", &signed(&key, "n")).is_some());
        assert_eq!(probes.answer(ELSEWHERE, "path", &signed(&key, "n")), None);
        drop(ticket);
        assert_eq!(probes.answer(ELSEWHERE, "path", &signed(&key, "n")), None);
    }
}
