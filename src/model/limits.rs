//! Maximum sizes: of the members of a message, and of the request that contains them.

/// Characters of a user id.
const USER_ID: usize = 255;
/// Characters of the text of a message.
pub const BODY: usize = 10_000;
/// Users whom a message mentions.
pub const MENTIONS: usize = 50;
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
/// Bytes of the metadata of a conversation, as compact JSON.
pub const CONVERSATION_METADATA: usize = 1024;
/// Characters of the title of a room.
pub const ROOM_TITLE: usize = 128;
/// Users that one request adds to a room.
pub const ROOM_USERS: usize = 100;
/// Characters of the name of a subscription or of a consumer.
pub const SUBSCRIPTION_NAME: usize = 64;
/// Types or rooms that a subscription names.
pub const SUBSCRIPTION_FILTER: usize = 100;
/// Events that one request takes or acknowledges.
pub const TAKEN_EVENTS: usize = 500;
/// Partitions of the feed: those of conversations, and those of the badges of users.
pub const FEED_PARTITIONS: u16 = 512;
/// Characters of a client id.
pub const CLIENT_ID: usize = 64;
/// Characters of an idempotency key, and of the `ref` of a WebSocket command.
pub const IDEMPOTENCY_KEY: usize = 255;

/// Maximum bytes of a character in JSON: two escapes, `\ud83d\ude00`. Encoders that write only ASCII
/// produce them, for example those of Python and PHP.
const PER_CHARACTER: usize = 12;
/// Maximum bytes of an ASCII character in JSON: an escape, `\u0026`.
const PER_BYTE: usize = 6;
/// Bytes for the names of members, numbers and times, in an attachment and in a message.
const REST: usize = 1024;

const ATTACHMENT: usize =
    (URL + MEDIA_TYPE + ATTACHMENT_METADATA) * PER_BYTE + FILE_NAME * PER_CHARACTER + REST;

/// Bytes of the largest request, WebSocket message or line of an import. Any message within the limits
/// above fits, however it is escaped.
pub const REQUEST: usize = ((BODY + CLIENT_ID) * PER_CHARACTER
    + ((2 + MENTIONS) * USER_ID + METADATA + 2 * IDEMPOTENCY_KEY) * PER_BYTE
    + ATTACHMENTS * ATTACHMENT
    + REST)
    .next_multiple_of(64 * 1024);
