//! The inboxes in memory: what intake asks about each request, without IO.
//!
//! The signing secrets of an inbox are read from the vault with its first request and kept while
//! the inbox is open, so that neither a slow nor a locked keychain stands in the way of each
//! webhook. Changing them puts a fresh entry in place of the old one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use domain::id::InboxId;
use domain::inbox::Inbox;
use domain::secret::Secrets;
use tokio::sync::OnceCell;
use url::Url;

use crate::store::{self, Store};
use crate::vault::{self, Vault};

/// An inbox that can receive.
pub(crate) struct OpenInbox {
    pub(crate) inbox: Inbox,
    secrets: OnceCell<Secrets>,
}

impl OpenInbox {
    /// Its secrets; none where it was made without any.
    pub(crate) async fn secrets(&self, vault: &Vault) -> Result<&Secrets, vault::Error> {
        self.secrets
            .get_or_try_init(|| async {
                match self.inbox.secrets {
                    None => Ok(Secrets::new()),
                    Some(generation) => vault.read(&self.inbox.id.to_string(), generation).await,
                }
            })
            .await
    }

    /// Its secrets, if they have been read: enough for masking, without waiting.
    pub(crate) fn known_secrets(&self) -> Option<&Secrets> {
        self.secrets.get()
    }
}

/// All of them, by the key in their address.
#[derive(Default)]
pub(crate) struct Inboxes {
    by_key: RwLock<HashMap<String, Arc<OpenInbox>>>,
    ingress_url: RwLock<Option<Url>>,
    /// Held while the secrets of an inbox change.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Inboxes {
    /// Those that the store knows.
    pub(crate) async fn load(store: &Store) -> store::Result<Self> {
        let inboxes = Self::default();
        for inbox in store.inboxes().await? {
            inboxes.open(inbox);
        }
        Ok(inboxes)
    }

    /// Where the host's ingress listener is, so that inboxes have an address.
    pub(crate) fn listen_at(&self, url: Url) {
        *self.ingress_url.write().unwrap_or_else(PoisonError::into_inner) = Some(url);
    }

    /// The host's ingress listener, without a slash at its end; empty before it is known.
    pub(crate) fn base_url(&self) -> String {
        let base = self.ingress_url.read().unwrap_or_else(PoisonError::into_inner);
        base.as_ref().map_or("", Url::as_str).trim_end_matches('/').to_owned()
    }

    /// The port of that listener.
    pub(crate) fn port(&self) -> Option<u16> {
        self.ingress_url.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.port()
    }

    /// The address of the inbox with this key on this machine.
    pub(crate) fn local_url(&self, key: &str) -> String {
        format!("{}/in/{key}", self.base_url())
    }

    /// Opens an inbox, or puts it in place of what was known of it.
    pub(crate) fn open(&self, inbox: Inbox) {
        let key = inbox.inbox.key.clone();
        let open = Arc::new(OpenInbox { inbox, secrets: OnceCell::new() });
        self.by_key.write().unwrap_or_else(PoisonError::into_inner).insert(key, open);
    }

    /// Closes an inbox: from now on its address is unknown.
    pub(crate) fn close(&self, id: InboxId) {
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_, open| open.inbox.id != id);
    }

    /// Forgets those that belong to the sandbox.
    pub(crate) fn close_sandbox(&self) {
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_, open| !open.inbox.inbox.sandbox);
    }

    /// The name of each.
    pub(crate) fn names(&self) -> BTreeMap<InboxId, String> {
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        by_key.values().map(|open| (open.inbox.id, open.inbox.inbox.name.clone())).collect()
    }

    /// The inbox with this key; none where its events come over a socket, and nothing else does.
    pub(crate) fn find(&self, key: &str) -> Option<Arc<OpenInbox>> {
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        by_key.get(key).filter(|open| !open.inbox.inbox.by_socket()).cloned()
    }
}
