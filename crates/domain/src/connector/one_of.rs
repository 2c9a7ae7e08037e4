//! Choices that stand among other keys, and values that may be written in several ways.
//!
//! In `{ oauth_code: {…}, title: … }` each choice is an optional key of the written form, so that
//! an unknown key is answered with all the words that are possible; of the choices exactly one
//! must be there, which [`one_of`] checks. A value that may be a text, a list or an object is read
//! by looking at what it is and never by trying one after the other: the second would answer a
//! mistake with "fits none of them".

use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::value::{
    I64Deserializer, MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer, U64Deserializer,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Takes the one choice that is there.
///
/// # Errors
///
/// A sentence with the possible words, when there is none or more than one.
pub(crate) fn one_of<T>(
    choices: impl IntoIterator<Item = (&'static str, Option<T>)>,
) -> Result<T, String> {
    let mut names = Vec::new();
    let mut taken: Option<(&'static str, T)> = None;
    for (name, choice) in choices {
        names.push(format!("`{name}`"));
        match (&taken, choice) {
            (_, None) => {}
            (None, Some(choice)) => taken = Some((name, choice)),
            (Some((first, _)), Some(_)) => {
                return Err(format!("`{first}` and `{name}` exclude each other"));
            }
        }
    }
    match taken {
        Some((_, choice)) => Ok(choice),
        None if names.len() == 1 => Err(format!("expected {}", names.join(""))),
        None => Err(format!("expected one of {}", names.join(", "))),
    }
}

/// A setting that may be written as one value or as a list of them: `key: id`, `key: [shop, id]`.
pub(crate) struct OneOrMany<T>(Vec<T>);

impl<T> From<OneOrMany<T>> for Vec<T> {
    fn from(value: OneOrMany<T>) -> Self {
        value.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                T::deserialize(U64Deserializer::new(number)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                T::deserialize(I64Deserializer::new(number)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(OneOrMany)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
            }
        }

        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// Reads a type that may be written as a text, as a list where `list` is given, or as an
/// object; each by its own function.
macro_rules! text_list_or_object {
    (
        $name:ty: $expecting:literal,
        $(words: [$($word:literal),*],)?
        $(else: $other:literal,)?
        text: $text:expr,
        $(list: $item:ty => $list:expr,)?
        object: $written:ty => $object:expr,
    ) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        let read = $text;
                        read(text).map_err(E::custom)
                    }

                    $(fn visit_seq<A: serde::de::SeqAccess<'de>>(
                        self,
                        items: A,
                    ) -> Result<$name, A::Error> {
                        let deserializer = serde::de::value::SeqAccessDeserializer::new(items);
                        let items = Vec::<$item>::deserialize(deserializer)?;
                        let read = $list;
                        read(items).map_err(serde::de::Error::custom)
                    })?

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        map: A,
                    ) -> Result<$name, A::Error> {
                        let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                        let written = <$written>::deserialize(deserializer)?;
                        let read = $object;
                        read(written).map_err(serde::de::Error::custom)
                    }
                }

                deserializer.deserialize_any(Visitor)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                let name = stringify!($name);
                name.replace(['<', '>'], "_").trim_end_matches('_').to_owned().into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let object = generator.subschema_for::<$written>();
                #[allow(unused_mut, reason = "not every type has words of its own")]
                let mut text = serde_json::json!({ "type": "string" });
                $(text["enum"] = serde_json::json!([$($word),*]);)?
                #[allow(unused_mut, reason = "not every type has a list form")]
                let mut forms = vec![text, object.to_value()];
                $(forms.push(serde_json::json!({ "type": "string", "pattern": $other }));)?
                $(
                    let items = generator.subschema_for::<$item>();
                    forms.push(serde_json::json!({ "type": "array", "items": items }));
                )?
                schemars::json_schema!({ "description": $expecting, "anyOf": forms })
            }
        }
    };
}

pub(crate) use text_list_or_object;
