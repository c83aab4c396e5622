//! Attachments: descriptions of files that are stored outside the service.

use mediatype::MediaType;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Seq;
use super::attachment_url::{AttachmentUrl, normalized_url};
use super::content::within;
use super::json::{JsonObject, OpaqueObject, optional_u32};
use super::limits;

/// Reads attachments from a request. Each must be an object; `null` means none.
pub(super) fn attachments<'de, D: Deserializer<'de>>(
    array: D,
) -> Result<Vec<Attachment>, D::Error> {
    let objects = Option::<Vec<JsonObject<AttachmentInput>>>::deserialize(array)?;
    let objects = objects.unwrap_or_default().into_iter();
    Ok(objects.map(|object| object.0.into()).collect())
}

/// Reads the attachments of an edit, where an absent array leaves the attachments unchanged.
pub(super) fn named_attachments<'de, D: Deserializer<'de>>(
    array: D,
) -> Result<Option<Vec<Attachment>>, D::Error> {
    attachments(array).map(Some)
}

/// Declares a type for the description of an attached file. The file itself is stored outside the service.
macro_rules! attachment {
    ($(#[$attribute:meta])* $name:ident {
        $(#[$url:meta])* url
        $(#[$duration:meta])* duration_ms
    }) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
        $(#[$attribute])*
        pub struct $name {
            /// The URL of the file.
            $(#[$url])*
            pub url: AttachmentUrl,
            /// The media type (RFC 6838) with its parameters, e.g. `audio/ogg; codecs=opus`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            pub mime_type: Option<MimeType>,
            /// The file name to display.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            pub name: Option<FileName>,
            /// The size in bytes.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<u64>, nullable = false, minimum = 0, maximum = 9007199254740991u64)]
            pub size: Option<Seq>,
            /// The width in pixels.
            #[serde(
                default,
                deserialize_with = "optional_u32",
                skip_serializing_if = "Option::is_none"
            )]
            #[schema(nullable = false, format = "int64", minimum = 0, maximum = 4294967295u64)]
            pub width: Option<u32>,
            /// The height in pixels.
            #[serde(
                default,
                deserialize_with = "optional_u32",
                skip_serializing_if = "Option::is_none"
            )]
            #[schema(nullable = false, format = "int64", minimum = 0, maximum = 4294967295u64)]
            pub height: Option<u32>,
            $(#[$duration])*
            #[serde(
                default,
                deserialize_with = "optional_milliseconds",
                skip_serializing_if = "Option::is_none"
            )]
            pub duration_ms: Option<u32>,
            /// Other data about the file, for example a thumbnail, a waveform or a blurhash.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            pub metadata: Option<AttachmentMetadata>,
        }
    };
}

attachment! {
    /// A file that a client attaches.
    #[serde(deny_unknown_fields)]
    AttachmentInput {
        #[serde(deserialize_with = "normalized_url")]
        url
        /// The duration in milliseconds. Fractions are rounded.
        #[schema(value_type = Option<f64>, nullable = false, minimum = 0, maximum = 4294967295u64)]
        duration_ms
    }
}

attachment! {
    /// An attached file, as it is stored and answered. Members that a newer version has added are ignored.
    Attachment {
        url
        /// The duration in milliseconds.
        #[schema(nullable = false, format = "int64", minimum = 0, maximum = 4294967295u64)]
        duration_ms
    }
}

impl From<AttachmentInput> for Attachment {
    fn from(new: AttachmentInput) -> Self {
        let AttachmentInput {
            url,
            mime_type,
            name,
            size,
            width,
            height,
            duration_ms,
            metadata,
        } = new;
        Self {
            url,
            mime_type,
            name,
            size,
            width,
            height,
            duration_ms,
            metadata,
        }
    }
}

/// Reads a number of milliseconds, which may have a fraction: media players measure durations as
/// doubles.
fn optional_milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(from)? else {
        return Ok(None);
    };
    let rounded = number.round();
    if number < 0.0 || rounded > f64::from(u32::MAX) {
        return Err(D::Error::custom("must be 0 to 4294967295 milliseconds"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    Ok(Some(rounded as u32))
}

/// A media type with its parameters (RFC 6838, RFC 9110 section 8.3.1), at most 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    max_length = 255,
    pattern = "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}([ \\t]*;[ \\t]*[A-Za-z0-9*][A-Za-z0-9!#$&^_.+%*'-]{0,126}=(\"([\\t !#-\\[\\]-~]|\\\\[\\t -~])*\"|[A-Za-z0-9!#$&^_.+%*'-]*))*[ \\t]*(;[ \\t]*)?$",
    example = "image/jpeg"
)]
pub struct MimeType(String);

impl TryFrom<String> for MimeType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // With `*` it is a media range (RFC 9110 section 12.5.1), not the type of a file. Registered names
        // (RFC 6838 section 4.2) have other limits than those that the parser accepts.
        let is_registrable = |name: &str| name.len() <= 127 && !name.contains(['*', '%', '\'']);
        let of_a_file =
            |kind: &MediaType| kind.essence().to_string().split('/').all(is_registrable);
        let is_text = |c: char| matches!(c, '\t' | ' '..='~');
        let is_valid = text.len() <= limits::MEDIA_TYPE
            && text.chars().all(is_text)
            && MediaType::parse(&text).is_ok_and(|kind| of_a_file(&kind));
        if is_valid {
            Ok(Self(text))
        } else {
            Err(
                "must be a media type such as image/jpeg, at most 255 characters with its parameters",
            )
        }
    }
}

/// The file name to display: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(min_length = 1, max_length = 255, example = "menu.jpg")]
pub struct FileName(String);

impl TryFrom<String> for FileName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if (1..=limits::FILE_NAME).contains(&name.chars().count()) {
            Ok(Self(name))
        } else {
            Err("must have 1 to 255 characters")
        }
    }
}

/// A JSON object that the application keeps with an attachment: at most 1 KiB as compact JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(value_type = HashMap<String, Value>, example = json!({"blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj"}))]
pub struct AttachmentMetadata(OpaqueObject);

impl TryFrom<Map<String, Value>> for AttachmentMetadata {
    type Error = &'static str;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        within(limits::ATTACHMENT_METADATA, object)
            .map(Self)
            .ok_or("must have at most 1024 bytes as compact JSON")
    }
}
