//! Opening sockets: a request that changes its protocol, within the rules of every other call.
//!
//! The roots that a certificate must lead to, and the addresses that a name may lead to, are those
//! of the client for calls. The address of a socket lets us in by itself: nothing of ours goes
//! along, it reaches no log, and nobody is followed who sends us on.

use std::time::Duration;

use domain::connection::Connection;
use domain::connector::{Connector, Socket as Rules};
use domain::json::Json;
use domain::reach::{NamedBy, Network};
use domain::socket::{self, NoAddress};
use http::{HeaderMap, StatusCode, header};
use reqwest::Upgraded;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

use super::call::base_url;
use super::{Answer, ApiRequest, BOUNDS, Error, Outgoing, Purpose, builder, fault};
use crate::Engine;
use crate::sign_in::Credential;

/// The largest message, in bytes: as large as the body of a webhook may be.
pub(crate) const LARGEST: usize = 25 * 1024 * 1024;

/// How long a socket may take to open, once its address is known.
const OPENING: Duration = Duration::from_secs(20);

/// An open socket.
pub(crate) type Socket = WebSocketStream<Upgraded>;

impl Engine {
    /// Asks for the address of a socket and opens it.
    ///
    /// # Errors
    ///
    /// [`Error::SignIn`] where only the user can put right that it is not opened. Where it is the
    /// connection's own credential that is refused, the connection needs a sign-in, too.
    pub(crate) async fn open_socket(
        &self,
        connection: &Connection,
        connector: &Connector,
        rules: &Rules,
    ) -> Result<Socket, Error> {
        let credential = self.credential(connection).await?;
        let values = self.values(connection, connector, &credential.values);
        let request = ApiRequest::from_ask(&rules.open, &values)?;
        let purpose = Purpose::of("socket");
        let answer = match &rules.token {
            None => self.call_for(connection, &request, purpose).await?,
            Some(name) => {
                let credential =
                    self.socket_credential(connection, connector, name, &credential).await?;
                self.call_by_secret(connection, connector, &request, &credential, purpose).await?
            }
        };
        let (url, network) =
            self.socket_address(connector, rules, &answer, &values, &credential)?;
        self.inner.outgoing.open_socket(url, network).await
    }

    /// What the call carries that asks for an address, where a secret of its own lets it in.
    async fn socket_credential(
        &self,
        connection: &Connection,
        connector: &Connector,
        name: &str,
        credential: &Credential,
    ) -> Result<Credential, Error> {
        let way = connector.way(Some(&connection.connection.way));
        let way = way.ok_or_else(|| Error::Connector("it no longer has this way in".into()))?;
        let field = way.fields().into_iter().find(|field| field.secret && field.name == name);
        let Some(field) = field else {
            return Err(Error::SignIn("It is signed in by a way that has no socket.".into()));
        };
        match self.secrets_of(connection).await?.get(name) {
            Some(secret) => credential.with_token(way, name, secret),
            None => {
                let title = field.field.title.to_lowercase();
                Err(Error::SignIn(format!("Its {title} has not been entered.")))
            }
        }
    }

    /// Where an answer leads, if that may be opened: beside the API itself as a person may have
    /// typed it, elsewhere as an address that came from data.
    fn socket_address(
        &self,
        connector: &Connector,
        rules: &Rules,
        answer: &Answer,
        values: &Value,
        credential: &Credential,
    ) -> Result<(Url, Network), Error> {
        let missing = |error: NoAddress| match error {
            NoAddress::Refused(refused) => Error::Host(refused),
            NoAddress::Missing => {
                Error::Answer { host: answer.host.clone(), why: error.to_string() }
            }
        };
        let body = Json::parse(&answer.body).unwrap_or_default();
        let url = socket::address(rules, &body, self.now()).map_err(missing)?;
        let base = base_url(connector, values, credential)?;
        let beside = url.host() == base.host()
            && url.port_or_known_default() == base.port_or_known_default();
        let named_by = if beside { NamedBy::Connector } else { NamedBy::Data };
        Ok(socket::may_open(rules, &url, &self.reach(connector, values)?, named_by)?)
    }
}

impl Outgoing {
    async fn open_socket(&self, url: Url, network: Network) -> Result<Socket, Error> {
        let host = url.host_str().unwrap_or_default().to_owned();
        match tokio::time::timeout(OPENING, opened(url, network, &host)).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::TimedOut(host)),
        }
    }
}

async fn opened(url: Url, network: Network, host: &str) -> Result<Socket, Error> {
    let failed = |error| fault(host, error);
    // Only HTTP/1.1 changes its protocol this way. A client of its own costs little: sockets stay
    // open for hours.
    let client = builder(network, &BOUNDS).http1_only().build().map_err(failed)?;
    let key = generate_key();
    let request = client
        .get(url)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let (host, status) = (host.to_owned(), status.as_u16());
        return Err(Error::Status { host, status, message: "it opens no socket".into() });
    }
    if !is_accepted(response.headers(), &key) {
        let why = "it changed to another protocol".to_owned();
        return Err(Error::Answer { host: host.to_owned(), why });
    }
    let stream = response.upgrade().await.map_err(failed)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST))
        .read_buffer_size(16 * 1024);
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
}

/// Whether an answer changes to the protocol that was asked for (RFC 6455, section 4.1).
fn is_accepted(headers: &HeaderMap, key: &str) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(header::UPGRADE).is_some_and(|it| it.eq_ignore_ascii_case("websocket"))
        && text(header::SEC_WEBSOCKET_ACCEPT)
            .is_some_and(|it| it == derive_accept_key(key.as_bytes()))
        // Nothing of these was asked for.
        && text(header::SEC_WEBSOCKET_PROTOCOL).is_none()
        && text(header::SEC_WEBSOCKET_EXTENSIONS).is_none()
}
