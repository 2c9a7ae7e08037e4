//! Taking a sign-in back at the provider, when its connection is deleted.

use domain::connection::Connection;
use domain::connector::{Call, OauthCode, Revoke, WayKind};
use domain::secret::Secrets;
use serde_json::Value;

use super::carry::{Carrier, Credential, note_used, with_secrets};
use super::credential::Held;
use super::tokens::{ACCESS, Asking, REFRESH, TokenRequest, address, names_in};
use super::{client_id, way};
use crate::Engine;
use crate::outgoing::{self, ApiRequest};

/// What became of a sign-in at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// The provider took it back.
    Done,
    /// There is nothing that could be taken back, or the provider has no way of doing so.
    NotOffered,
    /// It did not work, and why: the sign-in is still good over there.
    Failed(String),
}

impl Engine {
    /// Tells the provider that the tokens of a connection are not needed any more: those that still
    /// wait for the vault, or those in it.
    pub(crate) async fn revoke(&self, connection: &Connection, held: &Held) -> Revoked {
        let Ok(connector) = self.connector_of(connection) else { return Revoked::NotOffered };
        let Ok(way) = way(&connector, connection) else { return Revoked::NotOffered };
        let WayKind::OauthCode(oauth) = way.kind.inner() else { return Revoked::NotOffered };
        let Some(revoke) = &oauth.revoke else { return Revoked::NotOffered };
        if self.has_moved(connection, &connector) {
            return Revoked::Failed("its settings lead to another host by now".into());
        }
        let in_force = match held.unsaved() {
            Some(bundle) => Ok(bundle.clone()),
            None => self.secrets_of(connection).await,
        };
        let secrets = match in_force {
            Ok(secrets) if secrets.get(ACCESS).is_some() || secrets.get(REFRESH).is_some() => {
                secrets
            }
            Ok(_) => return Revoked::NotOffered,
            Err(error) => return Revoked::Failed(error.to_string()),
        };
        let asking = Asking {
            connection,
            connector: &connector,
            way,
            kind: &way.kind,
            secrets: &secrets,
            callback: &Value::Object(super::tokens::read_object(&secrets, super::tokens::CALLBACK)),
        };
        let outcome = match revoke {
            Revoke::Url(url) => self.revoke_at(&asking, oauth, url).await,
            Revoke::Call(call) => self.revoke_by(&asking, call, &secrets).await,
        };
        match outcome {
            // A token that is not known there any more is as good as taken back.
            Ok(status) if (200..300).contains(&status) || status == 401 => Revoked::Done,
            Ok(status) => Revoked::Failed(format!("the provider answered {status}")),
            Err(error) => Revoked::Failed(outgoing::without(&error.to_string(), &secrets)),
        }
    }

    /// RFC 7009. With a refresh token its access tokens go, too.
    async fn revoke_at(
        &self,
        it: &Asking<'_>,
        oauth: &OauthCode,
        url: &domain::template::Template,
    ) -> Result<u16, outgoing::Error> {
        let values = self.sign_in_values(it);
        let url = address(url, &values)?;
        let endpoint = oauth.endpoint();
        let id = client_id(&endpoint, it.connection)
            .map_err(|error| outgoing::Error::Connector(error.to_string()))?;
        let mut request = TokenRequest::empty();
        let name = if it.secrets.get(REFRESH).is_some() { REFRESH } else { ACCESS };
        if let Some(token) = it.secrets.get(name) {
            request.push("token", token.expose());
            request.used.set(name, token.clone());
        }
        request.push("token_type_hint", name);
        request.client(&endpoint, &id, it.secrets);
        let reach = self.reach_of_tokens(it.connector, &values, &url);
        let body = domain::connector::TokenBody::Form;
        let request = request.into_request(url, body, it.connection, "revocation");
        Ok(self.inner.outgoing.send(&request, &reach, None).await?.status)
    }

    async fn revoke_by(
        &self,
        it: &Asking<'_>,
        call: &Call,
        secrets: &Secrets,
    ) -> Result<u16, outgoing::Error> {
        let values = self.sign_in_values(it);
        let credential = Carrier { way: it.way, secrets, values: &values }.credential()?;
        let values = with_secrets(&values, secrets, it.way);
        let request = ApiRequest::from(call.render(&values, &[])?);
        let mut used = (*credential.secrets).clone();
        note_used(&names_in(call), secrets, &mut used);
        let credential = Credential { secrets: std::sync::Arc::new(used), ..credential };
        let answer = self
            .call_for_token(it.connection, it.connector, &request, &credential, "revocation")
            .await?;
        Ok(answer.status)
    }
}
