//! Where what is written in a connector's file stands.
//!
//! The types of a connector know nothing of lines, since nobody but an author asks for them. So a
//! file with a mistake is read once more, as a tree of keys and values with their places, and the
//! mistake is looked for there: below the stream or the action that it is about, and not at the
//! first text of the file that looks alike.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A line and a column, from 1.
pub(super) type Place = (u64, u64);

/// A value with the places of what is in it.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it begins; for what an alias stands for, where that is written out.
    pub(super) at: Place,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Map(Vec<Member>),
    List(Vec<Node>),
    Text(String),
}

/// A key with its value.
#[derive(Debug)]
struct Member {
    key: String,
    at: Place,
    value: Node,
}

impl Node {
    /// The node at the end of these names, as far as they lead: a number is a place in a list. And
    /// where its key stands.
    pub(super) fn below(&self, path: &[&str]) -> (Place, &Self) {
        let mut found = (self.at, self);
        for name in path {
            let next = match &found.1.kind {
                Kind::Map(members) => members
                    .iter()
                    .find(|member| member.key == *name)
                    .map(|member| (member.at, &member.value)),
                Kind::List(items) => {
                    let item = name.parse::<usize>().ok().and_then(|number| items.get(number));
                    item.map(|item| (item.at, item))
                }
                Kind::Text(_) => None,
            };
            match next {
                Some(next) => found = next,
                None => break,
            }
        }
        found
    }

    /// Where `near` stands in it: a key or a text that is the same, in any case, or else a text that
    /// holds it.
    pub(super) fn find(&self, near: &str) -> Option<Place> {
        let near = near.to_lowercase();
        let mut holding = None;
        let mut same = None;
        self.walk(&mut |at, text| {
            let text = text.to_lowercase();
            if same.is_none() && text == near {
                same = Some(at);
            }
            if holding.is_none() && text.contains(&near) {
                holding = Some(at);
            }
        });
        same.or(holding)
    }

    fn walk<'a>(&'a self, see: &mut impl FnMut(Place, &'a str)) {
        match &self.kind {
            Kind::Map(members) => {
                for member in members {
                    see(member.at, &member.key);
                    member.value.walk(see);
                }
            }
            Kind::List(items) => items.iter().for_each(|item| item.walk(see)),
            Kind::Text(text) => see(self.at, text),
        }
    }

    /// The text that stands at this place.
    pub(super) fn text_at(&self, at: Place) -> Option<&str> {
        let mut found = None;
        self.walk(&mut |place, text| {
            if place == at && found.is_none() {
                found = Some(text);
            }
        });
        found
    }

    /// The map with a key, or else a value, at `at` but without the key `lacking`, by where it is
    /// named: its own key, or where it begins. The first of several, since others have its members
    /// from there.
    pub(super) fn map_with(&self, at: Place, lacking: &str) -> Option<Place> {
        let (mut by_key, mut by_value) = (None, None);
        self.maps(self.at, &mut |named, members| {
            if members.iter().any(|member| member.key == lacking) {
                return;
            }
            if members.iter().any(|member| member.at == at) {
                by_key = by_key.or(Some(named));
            }
            if members.iter().any(|member| member.value.at == at) {
                by_value = by_value.or(Some(named));
            }
        });
        by_key.or(by_value)
    }

    /// The keys of the innermost map that has a key at `at`.
    pub(super) fn keys_beside(&self, at: Place) -> Vec<&str> {
        let mut found = Vec::new();
        self.maps(self.at, &mut |_, members| {
            if members.iter().any(|member| member.at == at) {
                found = members.iter().map(|member| member.key.as_str()).collect();
            }
        });
        found
    }

    fn maps<'a>(&'a self, named: Place, see: &mut impl FnMut(Place, &'a [Member])) {
        match &self.kind {
            Kind::Map(members) => {
                see(named, members);
                members.iter().for_each(|member| member.value.maps(member.at, see));
            }
            Kind::List(items) => items.iter().for_each(|item| item.maps(item.at, see)),
            Kind::Text(_) => {}
        }
    }
}

fn place(at: serde_saphyr::Location) -> Place {
    (at.line(), at.column())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { at: place(read.defined), kind: read.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;

        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Kind;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
                Ok(Kind::Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
                Ok(Kind::Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
                Ok(Kind::Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
                Ok(Kind::Text(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind::Text(String::new()))
            }

            fn visit_none<E>(self) -> Result<Kind, E> {
                Ok(Kind::Text(String::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Kind::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let value = map.next_value()?;
                    members.push(Member { at: place(key.defined), key: key.value, value });
                }
                Ok(Kind::Map(members))
            }
        }

        deserializer.deserialize_any(KindVisitor)
    }
}
