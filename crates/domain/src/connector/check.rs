//! What a connector's types cannot say: names that must exist, texts that become hosts.

use std::collections::HashSet;

use super::{Connector, HookSecret, Verify};

/// Finds the first mistake.
///
/// # Errors
///
/// A sentence that names it.
pub(super) fn check(connector: &Connector) -> Result<(), String> {
    id(&connector.id)?;
    ways(connector)?;
    streams(connector)?;
    webhooks(connector)
}

fn id(id: &str) -> Result<(), String> {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if id.is_empty() || id.len() > 64 || !id.chars().all(fits) || id.starts_with('-') {
        return Err(format!("`id: {id}` should be lower case letters, digits and `-`"));
    }
    Ok(())
}

fn ways(connector: &Connector) -> Result<(), String> {
    let mut ids = HashSet::new();
    match connector.auth.iter().find(|way| !ids.insert(&way.id)) {
        Some(way) => Err(format!("two ways in are called `{}`: give one an `id`", way.id)),
        None => Ok(()),
    }
}

fn streams(connector: &Connector) -> Result<(), String> {
    let calls = !connector.streams.is_empty() || connector.check.is_some();
    if calls && connector.base_url.is_none() {
        return Err("`base_url` is needed where there is something to call".into());
    }
    Ok(())
}

fn webhooks(connector: &Connector) -> Result<(), String> {
    let Some(webhooks) = &connector.webhooks else {
        return match connector.register {
            Some(_) => Err("`register` needs `webhooks`".into()),
            None => Ok(()),
        };
    };
    for (event_type, about) in webhooks.about.iter() {
        let Some(stream) = connector.streams.get(&about.stream) else {
            let known: Vec<_> = connector.streams.keys().map(|id| format!("`{id}`")).collect();
            return Err(format!(
                "`about` of `{event_type}` names the stream `{}`, expected one of {}",
                about.stream,
                known.join(", ")
            ));
        };
        if stream.key.len() != about.key.len() {
            return Err(format!(
                "`about` of `{event_type}` needs as many keys as the stream `{}`: {}",
                about.stream,
                stream.key.len()
            ));
        }
    }
    let secret = connector.register.as_ref().map(|register| &register.secret);
    if matches!(secret, Some(HookSecret::Answer(_) | HookSecret::Ours))
        && webhooks.verify == Verify::None
    {
        return Err("`register` gives a secret that `verify: none` does not use".into());
    }
    Ok(())
}
