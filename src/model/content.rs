//! What a message carries: its text, what goes with it, what the application keeps with it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::Seq;
use super::json::JsonObject;
use super::json::optional_u32;

/// The text of a message: at most 10,000 characters (Unicode scalar values).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(max_length = 10000, example = "Lunch at one?")]
pub struct Body(pub(super) String);

impl Body {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Body {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const MAX: usize = 10_000;
        // A character takes at least a byte, so most bodies need no counting.
        if text.len() <= MAX || text.chars().count() <= MAX {
            Ok(Self(text))
        } else {
            Err("a body has at most 10000 characters")
        }
    }
}

/// Attachments that are objects.
pub(super) fn objects<'de, D: Deserializer<'de>>(array: D) -> Result<Vec<Attachment>, D::Error> {
    let objects = Vec::<JsonObject<Attachment>>::deserialize(array)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// The same, of an array that may be absent.
pub(super) fn optional_objects<'de, D: Deserializer<'de>>(
    array: D,
) -> Result<Option<Vec<Attachment>>, D::Error> {
    objects(array).map(Some)
}

/// What is known of a file that goes with a message. The file itself lives elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Where the file is.
    pub url: AttachmentUrl,
    /// The media type (RFC 6838), e.g. `image/jpeg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<MimeType>,
    /// A file name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<FileName>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9007199254740991u64)]
    pub size: Option<Seq>,
    /// Pixels.
    #[serde(
        default,
        deserialize_with = "optional_u32",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "int64", minimum = 0, maximum = 4294967295u64)]
    pub width: Option<u32>,
    /// Pixels.
    #[serde(
        default,
        deserialize_with = "optional_u32",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "int64", minimum = 0, maximum = 4294967295u64)]
    pub height: Option<u32>,
    /// Milliseconds.
    #[serde(
        default,
        deserialize_with = "optional_u32",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "int64", minimum = 0, maximum = 4294967295u64)]
    pub duration_ms: Option<u32>,
}

/// The address of an attachment: an absolute `http` or `https` URL of at most 2,048 characters.
///
/// No other scheme, so that a client which opens it cannot be made to run `javascript:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    max_length = 2048,
    format = "uri",
    pattern = "^https?://[A-Za-z0-9]",
    example = "https://files.example.com/menu.jpg"
)]
pub struct AttachmentUrl(String);

impl AttachmentUrl {
    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AttachmentUrl {
    type Error = &'static str;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if url.len() <= 2048 && Url::parse(&url).is_ok_and(web) {
            Ok(Self(url))
        } else {
            Err("an attachment's url is an absolute http or https URL of at most 2048 characters")
        }
    }
}

/// A media type: `type/subtype`, at most 127 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    max_length = 127,
    pattern = "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$",
    example = "image/jpeg"
)]
pub struct MimeType(String);

impl TryFrom<String> for MimeType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let token = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        match text.split_once('/') {
            Some((kind, subtype)) if text.len() <= 127 && token(kind) && token(subtype) => {
                Ok(Self(text))
            }
            _ => Err("a media type is type/subtype, at most 127 characters"),
        }
    }
}

/// The name of a file, to be shown: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(min_length = 1, max_length = 255, example = "menu.jpg")]
pub struct FileName(String);

impl TryFrom<String> for FileName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if (1..=255).contains(&name.chars().count()) {
            Ok(Self(name))
        } else {
            Err("a file name has 1 to 255 characters")
        }
    }
}

/// A JSON object of the application's own, at most 4 KiB as compact JSON. Kept and answered, never
/// read. Integers are exact within 64 bits; what is larger becomes a double (RFC 8259 section 6).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(value_type = Object, example = json!({"mood": "hungry"}))]
pub struct Metadata(Map<String, Value>);

impl TryFrom<Map<String, Value>> for Metadata {
    type Error = &'static str;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        match serde_json::to_vec(&object) {
            Ok(json) if json.len() <= 4096 => Ok(Self(object)),
            _ => Err("metadata takes at most 4096 bytes as JSON"),
        }
    }
}
