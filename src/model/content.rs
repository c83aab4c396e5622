//! What a message carries: its text, what the application keeps with it, what the client calls it.

use icu_properties::props::{
    DefaultIgnorableCodePoint, GeneralCategory, PrependedConcatenationMark,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::json::OpaqueObject;
use super::limits;

/// The text of a message: at most 10,000 characters (Unicode scalar values).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(max_length = 10000, example = "Lunch at one?")]
pub struct Body(pub(super) String);

impl Body {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text shows nothing: it is empty, or has only white space and characters without a
    /// glyph.
    pub fn is_blank(&self) -> bool {
        self.0.chars().all(is_blank)
    }
}

impl TryFrom<String> for Body {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // A character takes at least a byte, so most bodies need no counting.
        if text.len() <= limits::BODY || text.chars().count() <= limits::BODY {
            Ok(Self(text))
        } else {
            Err("a body has at most 10000 characters")
        }
    }
}

/// Whether a character shows nothing by itself.
fn is_blank(character: char) -> bool {
    // Symbols whose glyph is empty: U+2800 has none of Braille's dots, U+1D159 is a note without a head.
    const EMPTY_GLYPHS: [char; 2] = ['\u{2800}', '\u{1d159}'];
    if character.is_ascii_graphic() {
        return false;
    }
    character.is_whitespace()
        || is_control_or_format(character)
        || EMPTY_GLYPHS.contains(&character)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a character is a control or a format character. Those that stand before a number and
/// show a sign, like U+0600, are not.
fn is_control_or_format(character: char) -> bool {
    match CodePointMapData::<GeneralCategory>::new().get(character) {
        GeneralCategory::Control => true,
        GeneralCategory::Format => {
            !CodePointSetData::new::<PrependedConcatenationMark>().contains(character)
        }
        _ => false,
    }
}

/// What the client calls a message: 1 to 64 printable characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 64,
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$",
    example = "7f9c2ba4"
)]
pub struct ClientId(String);

impl ClientId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        let printable = |c: char| {
            let category = CodePointMapData::<GeneralCategory>::new().get(c);
            let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
            let separates = matches!(
                category,
                GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
                    | GeneralCategory::PrivateUse
            );
            c.is_ascii_graphic() || !(separates || is_control_or_format(c) || invisible.contains(c))
        };
        if (1..=limits::CLIENT_ID).contains(&id.chars().count()) && id.chars().all(printable) {
            Ok(Self(id))
        } else {
            Err("a client id is 1 to 64 printable characters")
        }
    }
}

/// A JSON object of the application's own, at most 4 KiB as compact JSON. Kept and answered, never
/// read. Integers are exact within 64 bits; what is larger becomes a double (RFC 8259 section 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(value_type = Object, example = json!({"mood": "hungry"}))]
pub struct Metadata(OpaqueObject);

impl Metadata {
    /// The metadata after a JSON Merge Patch (RFC 7396) of it, or of none.
    pub(super) fn merged(old: Option<&Self>, patch: &Value) -> Result<Self, &'static str> {
        let old = old.map(|metadata| metadata.0.0.clone());
        let mut merged = Value::Object(old.unwrap_or_default());
        json_patch::merge(&mut merged, patch);
        Self::try_from(merged)
    }
}

impl TryFrom<Value> for Metadata {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Object(object) => Self::try_from(object),
            _ => Err("metadata is an object"),
        }
    }
}

impl TryFrom<Map<String, Value>> for Metadata {
    type Error = &'static str;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        within(limits::METADATA, object)
            .map(Self)
            .ok_or("metadata takes at most 4096 bytes as JSON")
    }
}

/// An object that takes at most so many bytes as compact JSON.
pub(super) fn within(limit: usize, object: Map<String, Value>) -> Option<OpaqueObject> {
    let json = serde_json::to_vec(&object).ok()?;
    (json.len() <= limit).then_some(OpaqueObject(object))
}
