//! An address of Patchbay's own kind: what a system does that opens such addresses by this program.

use serde_json::json;
use url::Url;

use super::Format;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{say, say_json, visible};

pub(crate) async fn run(address: &Url, client: &Client, format: Format) -> Result<(), Failure> {
    let body = json!({ "redirect_url": address });
    let signed_in = client.post("/api/authorize/complete", &body).await?;
    if format == Format::Json {
        say_json(&signed_in);
        return Ok(());
    }
    let name = signed_in["name"].as_str().map(visible).unwrap_or_default();
    say(&format!("{name} is signed in."));
    Ok(())
}
