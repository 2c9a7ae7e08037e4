//! A request as far as signatures go, and the values at places in it.

use std::borrow::Cow;

use super::{Error, malformed};
use crate::connector::{Path, Place};
use crate::form;
use crate::json::Json;

/// A request as far as signatures go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The address that the sender was told, whole.
    pub url: &'a str,
    /// The query with which it came, without `?`; none where it came without.
    pub query: Option<&'a str>,
    /// Names in lower case with their values as they came.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body as it came.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Whether there is a header of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| *other == name)
    }

    /// The first header of this name as text, if it is one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(other, _)| *other == name)?;
        std::str::from_utf8(value).ok().map(|text| text.trim_matches([' ', '\t']).to_owned())
    }

    /// The one header of this name. Twice is as bad as unreadable: which one would be meant?
    pub(super) fn header(&self, name: &str) -> Result<&'a str, Error> {
        let mut values = self.headers.iter().filter(|(other, _)| *other == name);
        let value = match (values.next(), values.next()) {
            (None, _) => return Err(Error::Unsigned(format!("`{name}` header"))),
            (Some(_), Some(_)) => return Err(malformed(&Place::Header(name.into()))),
            (Some((_, value)), None) => value,
        };
        std::str::from_utf8(value)
            .map(|text| text.trim_matches([' ', '\t']))
            .map_err(|_| malformed(&Place::Header(name.into())))
    }

    /// The path of the address that the sender was told.
    pub(super) fn path(&self) -> &'a str {
        let after_scheme = self.url.find("://").map_or(0, |at| at + 3);
        let rest = &self.url[after_scheme..];
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        path.split(['?', '#']).next().unwrap_or("/")
    }

    /// Whether its body is a form.
    pub(crate) fn is_form(&self) -> bool {
        form::is_form(&self.content_type())
    }

    /// Whether its fields are all that there is in its body: a form without files, or nothing.
    pub(super) fn is_fields(&self) -> bool {
        self.body.is_empty() || form::is_urlencoded(&self.content_type())
    }

    /// What kind of body it has; empty where it does not say.
    pub(crate) fn content_type(&self) -> String {
        self.text("content-type").unwrap_or_default()
    }

    /// The fields of its form, in their order. A form that does not say that it is one is none.
    pub(crate) fn form(&self) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        if !self.is_form() {
            return Vec::new();
        }
        form::fields(&self.content_type(), self.body)
    }

    /// The parameters with which it came, or with which its address was told.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let told = || self.url.split('#').next()?.split_once('?').map(|(_, query)| query);
        let query = self.query.or_else(told).unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
    }

    /// The one value at a place; none where there is nothing. Two of them are as bad as an
    /// unreadable one.
    pub(crate) fn at(&self, place: &Place) -> Result<Option<Cow<'a, str>>, Error> {
        let one = |values: Vec<Cow<'a, str>>| match <[_; 1]>::try_from(values) {
            Ok([value]) => Ok(Some(value)),
            Err(values) if values.is_empty() => Ok(None),
            Err(_) => Err(malformed(place)),
        };
        let named = |pairs: &mut dyn Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
                     wanted: &str| {
            one(pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value).collect())
        };
        match place {
            Place::Header(name) if self.has(name) => self.header(name).map(|it| Some(it.into())),
            Place::Header(_) => Ok(None),
            Place::Query(name) => named(&mut self.parameters(), name),
            Place::Field(name) => named(&mut self.form().into_iter(), name),
            Place::Body(path) => Ok(inside(self.body, path)),
            Place::InField { field, path } => {
                let text = named(&mut self.form().into_iter(), field)?;
                Ok(text.and_then(|text| inside(text.as_bytes(), path)))
            }
        }
    }

    /// The one value at a place, which must be there.
    pub(super) fn needed(&self, place: &Place) -> Result<Cow<'a, str>, Error> {
        self.at(place)?.ok_or_else(|| Error::Unsigned(place.what()))
    }
}

/// The text at a path of this JSON.
fn inside(json: &[u8], path: &Path) -> Option<Cow<'static, str>> {
    path.along(Json::parse(json).ok()?)?.as_text().map(Cow::Owned)
}
