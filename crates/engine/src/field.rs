//! What the user filled in, held against the fields that a connector asks for.

use std::collections::BTreeMap;

use domain::connector::{FormField, own};
use domain::secret::Secrets;

/// What is wrong with a field.
pub(crate) struct Problem {
    /// Which one.
    pub(crate) field: String,
    /// The end of a sentence that begins with its name: `is missing`.
    pub(crate) problem: String,
}

impl From<own::Mistake> for Problem {
    fn from(mistake: own::Mistake) -> Self {
        Self { field: mistake.setting.into(), problem: mistake.problem }
    }
}

/// Whether a field may be left for later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Refused,
    /// Many senders show their secret only once they know the address, and a change names only
    /// what changes.
    Allowed,
}

/// Finds the first thing that is wrong with `given`.
pub(crate) fn check(
    fields: &[FormField],
    given: &BTreeMap<String, String>,
    missing: Missing,
) -> Result<(), Problem> {
    let is_known = |name: &String| fields.iter().any(|field| field.name == *name);
    if let Some(unknown) = given.keys().find(|name| !is_known(name)) {
        let known: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
        let problem = match known.as_slice() {
            [] => "is not asked for here".to_owned(),
            known => format!("is not one of {}", known.join(", ")),
        };
        return Err(Problem { field: unknown.clone(), problem });
    }
    for field in fields {
        let value = given.get(&field.name).map(String::as_str);
        if value.is_none() && missing == Missing::Allowed {
            continue;
        }
        if let Some(problem) = field.field.problem(value) {
            return Err(Problem { field: field.name.clone(), problem });
        }
    }
    Ok(())
}

/// As [`check`], for secrets: all of their values are looked at and go nowhere.
pub(crate) fn check_secrets(
    fields: &[FormField],
    given: &Secrets,
    missing: Missing,
) -> Result<(), Problem> {
    let most = given.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
    for place in 0..most.max(1) {
        let values = given.iter().filter_map(|(name, values)| {
            // Copying brings white space along, which nobody's secret ends with.
            Some((name.to_owned(), values.get(place)?.expose().trim().to_owned()))
        });
        // Older values are there for some names only.
        let missing = if place == 0 { missing } else { Missing::Allowed };
        check(fields, &values.collect(), missing)?;
    }
    Ok(())
}
