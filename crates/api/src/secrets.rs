//! Secrets on their way in. There is no way out: they are write-only.

use std::collections::BTreeMap;

use domain::secret::{Secret, Secrets};
use serde::Deserialize;
use utoipa::ToSchema;

/// Secrets by name.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct GivenSecrets(BTreeMap<String, GivenSecret>);

/// A secret's value, or several while it is being changed: the newest first.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a secret is a text, or a list of texts")]
pub(crate) enum GivenSecret {
    /// The only one.
    One(String),
    /// The newest first.
    Several(Vec<String>),
}

impl std::fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Takes them over. An empty value says nothing, as a form sends it for a field left alone.
pub(crate) fn taken(given: GivenSecrets) -> Secrets {
    let mut secrets = Secrets::new();
    for (name, value) in given.0 {
        let values = match value {
            GivenSecret::One(value) => vec![value],
            GivenSecret::Several(values) => values,
        };
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            secrets.add(name.clone(), Secret::new(value));
        }
    }
    secrets
}
