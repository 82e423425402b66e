//! JSON as it was written: values by their text, documents by their fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as compact text.
///
/// The text is what its writer sent without the white space between tokens: numbers keep their digits and
/// objects the order of their fields. Two values are equal when their texts are.
#[derive(Debug, Clone)]
pub struct Json(Box<RawValue>);

/// The text is no JSON value that every reader could read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON value: {0}")]
pub struct JsonError(String);

impl Json {
    /// The value of this text.
    ///
    /// # Errors
    /// [`JsonError`] for malformed text, numbers beyond a double's range, and more than 127 levels.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let check = |error: serde_json::Error| JsonError(error.to_string());
        // A raw value checks the grammar alone; parsing it whole finds what readers would stumble over.
        serde_json::from_str::<serde_json::Value>(text).map_err(check)?;
        RawValue::from_string(compact(text)).map(Self).map_err(check)
    }

    /// The value that these bytes hold, as they were stored; `None` if they are no JSON.
    pub(super) fn from_stored(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<&RawValue>(bytes).ok().map(|raw| Self(raw.to_owned()))
    }

    /// A number.
    pub fn number(number: i128) -> Self {
        Self(RawValue::from_string(number.to_string()).expect("an integer is JSON"))
    }

    /// The value of something that serializes.
    ///
    /// # Errors
    /// [`JsonError`] when it has no JSON form.
    pub fn of(value: &impl Serialize) -> Result<Self, JsonError> {
        serde_json::value::to_raw_value(value).map(Self).map_err(|e| JsonError(e.to_string()))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if is_plain(raw.get()) {
            return Ok(Self(raw));
        }
        Self::parse(raw.get()).map_err(D::Error::custom)
    }
}

/// Whether text that is JSON by its grammar is as it is stored, and every reader can read it: scalars
/// without escapes and exponents, which most fields are.
fn is_plain(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'"') => !text.contains('\\'),
        Some(b'-' | b'0'..=b'9') => text.len() <= PLAIN_DIGITS_MAX && !text.contains(['e', 'E']),
        Some(b't' | b'f' | b'n') => true,
        _ => false,
    }
}

/// Any number of so few digits fits in a double.
const PLAIN_DIGITS_MAX: usize = 32;

/// A JSON object by its top-level fields. A name that comes twice is an error, since one of the two values
/// would be lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Document(pub BTreeMap<String, Json>);

impl Document {
    /// The document of this text.
    ///
    /// # Errors
    /// [`JsonError`] when it is no JSON object.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        serde_json::from_str(text).map_err(|error| JsonError(error.to_string()))
    }
}

impl FromIterator<(String, Json)> for Document {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value()?;
            if fields.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format_args!("field `{name}` comes twice")));
            }
        }
        Ok(Document(fields))
    }
}

/// Valid JSON without the white space between its tokens.
fn compact(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if !in_string && c.is_ascii_whitespace() {
            continue;
        }
        compact.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    compact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits_and_lose_their_white_space() {
        let text = "{ \"b\" : [ 1.10 , 123456789012345678901234567890 ] , \"a\": \" x \\\" y \" }";
        let json = Json::parse(text).unwrap();
        let compact = r#"{"b":[1.10,123456789012345678901234567890],"a":" x \" y "}"#;
        assert_eq!(json.text(), compact);
        for text in [text, " true ", "1.10", "-3", "1E5", r#""a b\u0041""#, r#""~ü""#] {
            let read: Json = serde_json::from_str(text).unwrap();
            assert_eq!(read, Json::parse(text).unwrap(), "the short cut changes nothing");
        }
    }

    #[test]
    fn what_readers_could_not_read_is_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "nul", "1 2", "1e999", r#""\ud800""#, "{\"a\":1,}", &deep] {
            assert!(Json::parse(text).is_err(), "{text}");
            assert!(serde_json::from_str::<Json>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_is_an_object_whose_names_come_once() {
        let document = Document::parse(r#"{"b": 1, "a": null}"#).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), r#"{"a":null,"b":1}"#);
        let twice = Document::parse(r#"{"a":1,"a":2}"#).unwrap_err().to_string();
        assert!(twice.contains("`a` comes twice"), "{twice}");
        assert!(Document::parse("[1]").is_err());
    }
}
