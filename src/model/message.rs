//! A message: as a client sends it, as it is stored, as it is answered.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;
use uuid::{Timestamp, Uuid};

use super::whole::optional_u32;
use super::{Object, Pair, Seq, UserId};
use crate::error::{Code, Error};

/// What a client sends: the body of `POST /messages`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The sender. May be left out by a user, who sends as itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<UserId>,
    /// The recipient; not the sender.
    pub to: UserId,
    /// The text. Empty only when there are attachments.
    pub body: Body,
    /// The `seq` of an earlier message of the same conversation that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    /// What goes with the text, at most 10. The service keeps the description, not the file.
    #[serde(
        default,
        deserialize_with = "objects",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(max_items = 10)]
    pub attachments: Vec<Attachment>,
    /// Anything the application wants to keep with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// The text of a message: at most 10,000 characters (Unicode scalar values).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(max_length = 10000, example = "Lunch at one?")]
pub struct Body(String);

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

fn objects<'de, D: Deserializer<'de>>(array: D) -> Result<Vec<Attachment>, D::Error> {
    let objects = Vec::<Object<Attachment>>::deserialize(array)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// What is known of a file that goes with a message. The file itself lives elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    max_length = 2048,
    format = "uri",
    pattern = "^https?://[A-Za-z0-9]",
    example = "https://files.example.com/menu.jpg"
)]
pub struct AttachmentUrl(String);

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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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

/// A message that was accepted and has no place in its conversation yet: everything of a
/// [`Message`] but its `seq`, which only the store can give.
#[derive(Debug, Serialize)]
pub struct Draft {
    id: Uuid,
    from: UserId,
    to: UserId,
    body: Body,
    #[serde(serialize_with = "rfc3339_millis")]
    sent_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

impl Draft {
    /// Accepts what a client sent on behalf of `from`: gives it its id and its time, and refuses
    /// what no single field can be blamed for alone.
    pub fn new(from: UserId, message: NewMessage) -> Result<Self, Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        if from == message.to {
            return refused("/to", "a message goes to somebody else than its sender");
        }
        if message.body.0.is_empty() && message.attachments.is_empty() {
            return refused(
                "/body",
                "a body may be empty only when there are attachments",
            );
        }
        if message.attachments.len() > 10 {
            return refused("/attachments", "a message has at most 10 attachments");
        }
        let NewMessage {
            to,
            body,
            reply_to,
            attachments,
            metadata,
            ..
        } = message;
        let sent_at = Utc::now();
        Ok(Self {
            id: fresh_id(sent_at),
            from,
            to,
            body,
            sent_at,
            reply_to,
            attachments,
            metadata,
        })
    }

    /// Who sends.
    pub fn from(&self) -> &UserId {
        &self.from
    }

    /// Who is to receive.
    pub fn to(&self) -> &UserId {
        &self.to
    }

    /// The conversation it belongs to.
    pub fn pair(&self) -> Pair {
        Pair::of(&self.from, &self.to)
    }

    /// The message it answers.
    pub fn reply_to(&self) -> Option<Seq> {
        self.reply_to
    }

    /// The JSON of the message from its second member on: `"id":...}`. What is missing in front,
    /// `{"seq":7,`, is written by the script that knows it.
    pub fn json_after_seq(&self) -> Result<String, Error> {
        let mut json = serde_json::to_string(self)
            .map_err(|e| Error::new(Code::Internal, format!("a draft would not serialize: {e}")))?;
        json.remove(0);
        Ok(json)
    }
}

/// A UUID of version 7 whose other 74 bits are random. `Uuid::now_v7` would also count within a
/// millisecond, for which all threads take one lock; order is seq, so nobody needs that.
pub fn fresh_id(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix_time(
        seconds,
        now.timestamp_subsec_nanos(),
        0,
        0,
    ))
}

/// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
fn rfc3339_millis<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A message as it is stored: the JSON text of a [`Message`], answered byte for byte as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage(pub String);

/// A message as it is answered.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Message {
    /// Its place in the conversation: 1, 2, 3, ... Order is seq, never time.
    pub seq: Seq,
    /// Its id, unique everywhere: a UUID of version 7 (RFC 9562).
    pub id: Uuid,
    /// The sender.
    pub from: UserId,
    /// The recipient.
    pub to: UserId,
    /// The text.
    pub body: Body,
    /// When the service accepted it (RFC 3339, UTC, milliseconds).
    pub sent_at: DateTime<Utc>,
    /// The `seq` of the message it answers; absent if it answers none.
    #[schema(nullable = false)]
    pub reply_to: Option<Seq>,
    /// What goes with the text; absent if nothing does.
    #[serde(default)]
    #[schema(required = false)]
    pub attachments: Vec<Attachment>,
    /// What the application keeps with it; absent if nothing was given.
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
}
