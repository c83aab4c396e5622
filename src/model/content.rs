//! The content of a message: its text, its metadata and its client id.

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
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing of the text is visible: it is empty, or has only white space and characters
    /// without a glyph.
    pub fn is_blank(&self) -> bool {
        self.0.chars().all(is_blank)
    }
}

impl TryFrom<String> for Body {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // A character takes at least one byte, so the characters of most bodies need not be counted.
        if text.len() <= limits::BODY || text.chars().count() <= limits::BODY {
            Ok(Self(text))
        } else {
            Err("must have at most 10000 characters")
        }
    }
}

/// Whether a character is invisible.
fn is_blank(character: char) -> bool {
    // Symbols with an empty glyph: U+2800 is Braille without dots, U+1D159 is a null notehead.
    const EMPTY_GLYPHS: [char; 2] = ['\u{2800}', '\u{1d159}'];
    if character.is_ascii_graphic() {
        return false;
    }
    character.is_whitespace()
        || is_control_or_format(character)
        || EMPTY_GLYPHS.contains(&character)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a character is a control or format character. Format characters with a visible sign, such
/// as U+0600 before a number, do not count.
fn is_control_or_format(character: char) -> bool {
    match CodePointMapData::<GeneralCategory>::new().get(character) {
        GeneralCategory::Control => true,
        GeneralCategory::Format => {
            !CodePointSetData::new::<PrependedConcatenationMark>().contains(character)
        }
        _ => false,
    }
}

/// The id that a client gives to a message: 1 to 64 printable characters.
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
            Err("must have 1 to 64 printable characters")
        }
    }
}

/// A JSON object that the application keeps with a message: at most 4 KiB as compact JSON. The service
/// stores and returns it and never interprets it. Integers of up to 64 bits are exact; larger ones
/// become doubles (RFC 8259 section 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(value_type = HashMap<String, Value>, example = json!({"mood": "hungry"}))]
pub struct Metadata(pub(super) OpaqueObject);

impl TryFrom<Map<String, Value>> for Metadata {
    type Error = &'static str;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        within(limits::METADATA, object)
            .map(Self)
            .ok_or("must have at most 4096 bytes as compact JSON")
    }
}

/// The object, unless it is longer than `limit` bytes as compact JSON.
pub(super) fn within(limit: usize, object: Map<String, Value>) -> Option<OpaqueObject> {
    let json = serde_json::to_vec(&object).ok()?;
    (json.len() <= limit).then_some(OpaqueObject(object))
}
