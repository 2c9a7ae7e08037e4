//! Secrets: values that only the vault knows.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// A secret's value while it is needed. It cannot be printed or serialised, and is zeroed after.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The secrets of one owner (a connection, an inbox, a tunnel) by name, such as `signing_secret`.
/// A name has several values while a sender changes its secret: the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets(BTreeMap<String, Vec<Secret>>);

impl Secrets {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `name` to one value, in place of all it had.
    pub fn set(&mut self, name: impl Into<String>, value: Secret) {
        self.0.insert(name.into(), vec![value]);
    }

    /// Adds a further value to `name`, after those it has.
    pub fn add(&mut self, name: impl Into<String>, value: Secret) {
        self.0.entry(name.into()).or_default().push(value);
    }

    /// These and `others`.
    #[must_use]
    pub fn and(mut self, others: Option<&Self>) -> Self {
        for (name, values) in others.into_iter().flat_map(Self::iter) {
            values.iter().for_each(|value| self.add(name, value.clone()));
        }
        self
    }

    /// Forgets `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The newest value of `name`.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).and_then(|values| values.first())
    }

    /// All values of `name`, newest first.
    pub fn all(&self, name: &str) -> &[Secret] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names, never the values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and values, for the vault that stores them and for masking.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Secret])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
