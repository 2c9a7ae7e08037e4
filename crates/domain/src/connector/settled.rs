//! What a setting decides of a stream.
//!
//! A connector for any API leaves to its user what others know: where records stand, what tells
//! them apart, how pages are counted. Its jq may speak of `$settings`, some of its names are texts,
//! and `answer_by`, `page_by` and `since_by` hold one choice for each value of a setting. All of
//! that is filled in by [`Stream::settled`] before a stream is read, so that whoever reads one
//! knows nothing of it.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::one_of::OneOrMany;
use super::paging::{Goes, Paging};
use super::stream::{AnswerFormat, Since, SinceBy, Stream, Until};
use crate::expression::Expression;
use crate::json::Json;
use crate::template::{self, Place, Template};

/// One choice for each value of a setting: `{ setting: kind, of: { csv: csv, json: json } }`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BySetting<T> {
    /// The setting, which has `choices`.
    pub setting: String,
    /// What each of them means.
    pub of: IndexMap<String, T>,
}

impl<T: Clone> BySetting<T> {
    fn chosen(&self, values: &Value) -> Result<T, Unsettled> {
        let value = values["settings"][&self.setting].as_str();
        let chosen = value.and_then(|value| self.of.get(value)).cloned();
        chosen.ok_or_else(|| Unsettled::Choice(self.setting.clone()))
    }
}

/// What settings decide of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choices {
    /// What an answer is written in.
    pub answer: Option<BySetting<AnswerFormat>>,
    /// How the next page is found; one page is all where there is nothing.
    pub page: Option<BySetting<Option<Paging>>>,
    /// How only what changed is asked for; everything is where there is nothing.
    pub since: Option<BySetting<Option<Since>>>,
}

impl Choices {
    /// Each setting that decides something, with the values that it may have.
    pub(crate) fn settings(&self) -> Vec<(&str, Vec<&str>)> {
        fn named<T>(choice: Option<&BySetting<T>>) -> Option<(&str, Vec<&str>)> {
            choice.map(|it| (it.setting.as_str(), it.of.keys().map(String::as_str).collect()))
        }
        let (answer, page) = (named(self.answer.as_ref()), named(self.page.as_ref()));
        [answer, page, named(self.since.as_ref())].into_iter().flatten().collect()
    }
}

/// Why a stream cannot be read with the settings of a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    /// A setting has none of the values that mean something.
    #[error("the setting `{0}` has a value that means nothing here")]
    Choice(String),
    /// A text cannot be filled in.
    #[error(transparent)]
    Text(#[from] template::Error),
}

/// The jq and the texts of a stream that may speak of settings.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) expressions: Vec<&'a mut Expression>,
    pub(super) texts: Vec<&'a mut String>,
}

impl Stream {
    /// The stream as it is for a connection: what settings decide is decided, and what speaks of
    /// them is filled in. `values` are those that its texts may speak of.
    ///
    /// # Errors
    ///
    /// When a setting has no value that fits.
    pub fn settled(&self, values: &Value) -> Result<Cow<'_, Self>, Unsettled> {
        if !self.unsettled {
            return Ok(Cow::Borrowed(self));
        }
        let mut stream = self.clone();
        let choices = std::mem::take(&mut stream.choices);
        if let Some(answer) = &choices.answer {
            stream.answer = answer.chosen(values)?;
        }
        if let Some(page) = &choices.page {
            stream.page = page.chosen(values)?;
        }
        if let Some(since) = &choices.since {
            stream.since = since.chosen(values)?;
        }
        stream.unsettled = false;

        let settings = values.get("settings").unwrap_or(&Value::Null).to_string();
        let settings = Json::parse(settings.as_bytes()).unwrap_or_default();
        let parts = stream.parts();
        for expression in parts.expressions {
            expression.bind(&settings);
        }
        for text in parts.texts {
            *text = Template::new(text)?.render(Place::Text, values)?;
        }
        Ok(Cow::Owned(stream))
    }

    /// Whether settings decide something of it.
    pub(super) fn asks_settings(&mut self) -> bool {
        let chooses = !self.choices.settings().is_empty();
        let parts = self.parts();
        chooses
            || parts.expressions.iter().any(|it| it.speaks_of_settings())
            || parts.texts.iter().any(|it| it.contains("{{"))
    }

    /// Its texts that are names where a connector knows them.
    pub(crate) fn names_as_texts(&self) -> Vec<String> {
        let mut stream = self.clone();
        stream.parts().texts.into_iter().map(|text| text.clone()).collect()
    }

    /// Its jq and its names, also those of its choices.
    fn parts(&mut self) -> Parts<'_> {
        let mut parts = Parts::default();
        parts.expressions.push(&mut self.records);
        parts.expressions.extend(&mut self.key);
        parts.expressions.extend(&mut self.version);
        parts.expressions.extend(&mut self.deleted);
        parts.expressions.extend(&mut self.total);
        let answers = self.choices.answer.iter_mut().flat_map(|it| it.of.values_mut());
        answers.chain([&mut self.answer]).for_each(|answer| answer.parts(&mut parts));
        let pages = self.choices.page.iter_mut().flat_map(|it| it.of.values_mut());
        pages.chain([&mut self.page]).flatten().for_each(|page| page.parts(&mut parts));
        let sinces = self.choices.since.iter_mut().flat_map(|it| it.of.values_mut());
        sinces.chain([&mut self.since]).flatten().for_each(|since| since.parts(&mut parts));
        parts
    }
}

impl AnswerFormat {
    fn parts<'a>(&'a mut self, parts: &mut Parts<'a>) {
        match self {
            Self::Csv(csv) => parts.texts.push(&mut csv.separator),
            Self::Zip(zip) => zip.answer.parts(parts),
            Self::Json | Self::Jsonl | Self::Xml => {}
        }
    }
}

impl Since {
    fn parts<'a>(&'a mut self, parts: &mut Parts<'a>) {
        parts.expressions.push(&mut self.field);
        match &mut self.by {
            SinceBy::Param(name) | SinceBy::Variable(name) | SinceBy::Body(name) => {
                parts.texts.push(name);
            }
            SinceBy::Text | SinceBy::NewestFirst => {}
        }
        match &mut self.until {
            Some(Until::Param(name) | Until::Variable(name) | Until::Body(name)) => {
                parts.texts.push(name);
            }
            Some(Until::Text) | None => {}
        }
    }
}

impl Goes {
    pub(super) fn parts<'a>(&'a mut self, parts: &mut Parts<'a>) {
        let (Self::Param(name) | Self::Body(name) | Self::Variable(name)) = self;
        parts.texts.push(name);
    }
}

/// jq that may speak of `$settings`, as a stream has it.
struct OfStream(Expression);

impl<'de> Deserialize<'de> for OfStream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Expression::with_settings(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Reads jq that may speak of `$settings`.
pub(super) fn expression<'de, D: Deserializer<'de>>(from: D) -> Result<Expression, D::Error> {
    OfStream::deserialize(from).map(|it| it.0)
}

/// Reads it where it may be left out.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Expression>, D::Error> {
    Ok(Option::<OfStream>::deserialize(from)?.map(|it| it.0))
}

/// Reads one or several.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Expression>, D::Error> {
    let all: Vec<OfStream> = OneOrMany::deserialize(from)?.into();
    Ok(all.into_iter().map(|it| it.0).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stream(text: &str) -> Result<Stream, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    const GENERAL: &str = r#"
get: ""
records: getpath($settings.records / ".")
key: .[$settings.key]
answer_by: { setting: kind, of: { csv: { csv: { separator: "{{ settings.separator }}" } }, json: json } }
page_by: { setting: paging, of: { none: null, page: { page: { param: "{{ settings.page }}" } } } }
"#;

    #[test]
    fn what_settings_decide_is_decided_for_a_connection() {
        let stream = stream(GENERAL).unwrap();
        let settings = json!({ "records": "a.b", "key": "sku", "kind": "csv", "separator": ";", "paging": "page", "page": "p" });
        let values = json!({ "settings": settings });

        let settled = stream.settled(&values).unwrap();

        let AnswerFormat::Csv(csv) = &settled.answer else { panic!("{:?}", settled.answer) };
        assert_eq!(csv.separator, ";");
        let Some(Paging::Page(page)) = &settled.page else { panic!("{:?}", settled.page) };
        assert_eq!(page.goes, Goes::Param("p".into()));
        let now = jiff::Timestamp::UNIX_EPOCH;
        let body = Json::parse(br#"{"a":{"b":[1,2]}}"#).unwrap();
        assert_eq!(settled.records.first(&body, now).unwrap().unwrap().to_string(), "[1,2]");
        let record = Json::parse(br#"{"sku":"A-1"}"#).unwrap();
        assert_eq!(settled.key[0].text_of(&record, now).as_deref(), Some("A-1"));
        assert!(matches!(settled.settled(&values), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn null_is_a_choice_and_an_unknown_value_is_none() {
        let stream = stream(GENERAL).unwrap();
        let mut values = json!({ "settings": { "kind": "json", "paging": "none" } });

        assert_eq!(stream.settled(&values).unwrap().page, None);

        values["settings"]["kind"] = "xml".into();
        assert_eq!(stream.settled(&values).unwrap_err(), Unsettled::Choice("kind".into()));
    }

    #[test]
    fn what_asks_no_setting_is_itself() {
        let stream = stream("{ get: /a, records: ., key: .id }").unwrap();

        assert!(matches!(stream.settled(&json!({})), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn a_choice_and_the_word_itself_exclude_each_other() {
        let text =
            "{ get: /a, records: ., key: .id, answer: csv, answer_by: { setting: k, of: {} } }";

        assert!(stream(text).unwrap_err().contains("`answer` and `answer_by` exclude each other"));
        assert!(stream("{ get: /a, records: $other, key: .id }").is_err());
    }
}
