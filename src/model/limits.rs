//! How long the members of a message may be, and how long a request may be that holds them.

/// Characters of a user id.
const USER_ID: usize = 255;
/// Characters of a text.
pub const BODY: usize = 10_000;
/// Attachments of a message.
pub const ATTACHMENTS: usize = 10;
/// Bytes of the URL of an attachment.
pub const URL: usize = 2048;
/// Bytes of a media type with its parameters.
pub const MEDIA_TYPE: usize = 255;
/// Characters of a file name.
pub const FILE_NAME: usize = 255;
/// Bytes of the metadata of an attachment, as compact JSON.
pub const ATTACHMENT_METADATA: usize = 1024;
/// Bytes of the metadata of a message, as compact JSON.
pub const METADATA: usize = 4096;
/// Characters of a client id.
pub const CLIENT_ID: usize = 64;
/// Characters of an idempotency key, and of the `ref` of a WebSocket command.
pub const IDEMPOTENCY_KEY: usize = 255;

/// Bytes that a character may take in JSON: two escapes, `\ud83d\ude00`. Encoders that keep to ASCII
/// write them, those of Python and PHP among them.
const PER_CHARACTER: usize = 12;
/// Bytes that a byte of UTF-8 may take in JSON: an escape of an ASCII character, `\u0026`.
const PER_BYTE: usize = 6;
/// Bytes for names of members, numbers and times, in an attachment and in a message.
const REST: usize = 1024;

const ATTACHMENT: usize =
    (URL + MEDIA_TYPE + ATTACHMENT_METADATA) * PER_BYTE + FILE_NAME * PER_CHARACTER + REST;

/// Bytes of the largest request, WebSocket message or line of an import: what the limits above allow
/// fits, however it is escaped.
pub const REQUEST: usize = ((BODY + CLIENT_ID) * PER_CHARACTER
    + (2 * USER_ID + METADATA + 2 * IDEMPOTENCY_KEY) * PER_BYTE
    + ATTACHMENTS * ATTACHMENT
    + REST)
    .next_multiple_of(64 * 1024);
