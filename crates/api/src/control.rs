//! The sandbox shop's control, over HTTP with its own token.

use std::sync::LazyLock;
use std::time::Duration;

use engine::{Engine, SandboxAddress};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::routes::{MadeOrders, OrdersRequest, SandboxPatch, Shop};

/// It is in the same process: what takes this long is broken.
const PATIENCE: Duration = Duration::from_secs(5);

static CLIENT: LazyLock<Result<reqwest::Client, String>> = LazyLock::new(|| {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| error.to_string())
});

/// The control of the shop that this host runs.
pub(crate) struct Control {
    address: SandboxAddress,
}

impl Control {
    /// # Errors
    ///
    /// Where this host runs no shop.
    pub(crate) fn of(engine: &Engine) -> Result<Self, ApiError> {
        let address = engine.sandbox().ok_or_else(ApiError::sandbox_off)?;
        Ok(Self { address: address.clone() })
    }

    pub(crate) async fn shop(&self) -> Result<Shop, ApiError> {
        read(self.call(Method::GET, "/control", None::<&()>).await?).await
    }

    pub(crate) async fn update(&self, patch: &SandboxPatch) -> Result<(), ApiError> {
        self.call(Method::PATCH, "/control", Some(patch)).await.map(drop)
    }

    pub(crate) async fn make_orders(
        &self,
        request: &OrdersRequest,
    ) -> Result<MadeOrders, ApiError> {
        read(self.call(Method::POST, "/control/orders", Some(request)).await?).await
    }

    pub(crate) async fn expire_tokens(&self) -> Result<(), ApiError> {
        self.call(Method::POST, "/control/expire-tokens", None::<&()>).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<reqwest::Response, ApiError> {
        let client = CLIENT.as_ref().map_err(ApiError::sandbox_broken)?;
        let url = self.address.control_url.join(path).map_err(ApiError::sandbox_broken)?;
        let mut request =
            client.request(method, url).bearer_auth(self.address.control_token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(ApiError::sandbox_broken)?;
        if answer.status().is_client_error() {
            let said: Said = read(answer).await?;
            return Err(ApiError::invalid(said.error.message));
        }
        answer.error_for_status().map_err(ApiError::sandbox_broken)
    }
}

/// What the control says that it cannot follow.
#[derive(Deserialize)]
struct Said {
    error: SaidError,
}

#[derive(Deserialize)]
struct SaidError {
    message: String,
}

async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, ApiError> {
    answer.json().await.map_err(ApiError::sandbox_broken)
}
