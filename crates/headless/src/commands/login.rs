//! An address that logs in.

use serde_json::{Value, json};

use super::Format;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{say, say_json};

pub(crate) async fn run(client: &Client, format: Format) -> Result<(), Failure> {
    let code = client.post("/api/login-codes", &json!({})).await?;
    match (format, &code["url"]) {
        (Format::Text, Value::String(url)) => say(url),
        _ => say_json(&code),
    }
    Ok(())
}
