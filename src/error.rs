//! Every error that a client can get, in one table.
//!
//! The word of an error is the same everywhere: a Lua script returns
//! `redis.error_reply('REPLY_TO_NOT_FOUND ...')`, Redis counts it in `INFO errorstats`, the problem
//! document (RFC 9457) has it as `code`, and `/metrics` as a label.

use std::borrow::Cow;

use crate::rate::RateLimitStatus;

/// Declares [`Code`] from rows of `variant, status, word, meaning`.
macro_rules! codes {
    ($($variant:ident $status:literal $word:literal $meaning:literal;)*) => {
        /// The kinds of error, one row of the table each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The word that programs switch on, e.g. `STORAGE_FULL`.
            pub const fn word(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }

            /// The HTTP status (RFC 9110; 507: RFC 4918).
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// The meaning, for humans: the default `detail` of a problem document.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidRequest       400 "INVALID_REQUEST"        "A field, a parameter or a header is missing, unknown or invalid; `errors` names it.";
    MalformedJson        400 "MALFORMED_JSON"         "The body is not valid JSON (RFC 8259).";
    Unauthenticated      401 "UNAUTHENTICATED"        "The request has no credential, or an invalid one.";
    Forbidden            403 "FORBIDDEN"              "The credential is valid but does not permit this operation.";
    NotAMember           403 "NOT_A_MEMBER"           "The user is not a member of the room.";
    Blocked              403 "BLOCKED"                "The peer has blocked the user and receives nothing new from the user.";
    NotFound             404 "NOT_FOUND"              "Nothing exists at this path.";
    MessageNotFound      404 "MESSAGE_NOT_FOUND"      "The message does not exist, or is not visible to this user.";
    RoomNotFound         404 "ROOM_NOT_FOUND"         "The room does not exist, or is not visible to this user.";
    SubscriptionNotFound 404 "SUBSCRIPTION_NOT_FOUND" "There is no subscription of this name.";
    MethodNotAllowed     405 "METHOD_NOT_ALLOWED"     "The path does not support this method; `Allow` lists those it supports.";
    RequestTimeout       408 "REQUEST_TIMEOUT"        "The body was not received within 10 seconds, plus one second per 8 KiB received.";
    RoomFull             409 "ROOM_FULL"              "The room has the maximum number of members, or of banned users.";
    RoomIsBeingDeleted   409 "ROOM_IS_BEING_DELETED"  "The room is being deleted. Try again in a few seconds.";
    TooManyRooms         409 "TOO_MANY_ROOMS"         "The user is in the maximum number of 1,000 rooms.";
    TooManySubscriptions 409 "TOO_MANY_SUBSCRIPTIONS" "There is the maximum number of 32 subscriptions.";
    SubscriptionIsPushed 409 "SUBSCRIPTION_IS_PUSHED" "The events of this subscription are sent to its `url`, so they cannot be taken.";
    MessageChanged       409 "MESSAGE_CHANGED"        "The message keeps changing concurrently; nothing was updated. Try again.";
    ConversationChanged  409 "CONVERSATION_CHANGED"   "The metadata of the conversation keeps changing concurrently; nothing was updated. Try again.";
    ImportConflict       409 "IMPORT_CONFLICT"        "Some messages cannot be imported into their conversations; `errors` names them, and the rest was imported.";
    MessageDeleted       409 "MESSAGE_DELETED"        "The message was deleted and can no longer be changed.";
    PreconditionFailed   412 "PRECONDITION_FAILED"    "The version of the message does not match `If-Match`, or the room exists already and `If-None-Match` is `*`.";
    PayloadTooLarge      413 "PAYLOAD_TOO_LARGE"      "The body exceeds 512 KiB.";
    UnsupportedMediaType 415 "UNSUPPORTED_MEDIA_TYPE" "The `Content-Type` or `Content-Encoding` of the body is not supported; `errors` names the header.";
    MisdirectedRequest   421 "MISDIRECTED_REQUEST"    "The service does not answer to this host; without credentials it answers to `localhost` only.";
    IdempotencyKeyReused 422 "IDEMPOTENCY_KEY_REUSED" "This `Idempotency-Key` was used for a different message.";
    TooFarBack           422 "TOO_FAR_BACK"           "The message is too old to mark the conversation as unread from it.";
    TooManyPinned        422 "TOO_MANY_PINNED"        "The user has the maximum number of 100 pinned conversations.";
    TooManyReactions     422 "TOO_MANY_REACTIONS"     "The message has the maximum number of different reactions.";
    ReplyToNotFound      422 "REPLY_TO_NOT_FOUND"     "`reply_to` is not a message of this conversation.";
    UpgradeRequired      426 "UPGRADE_REQUIRED"       "This path accepts WebSocket handshakes (RFC 6455) only.";
    TooManyConnections   429 "TOO_MANY_CONNECTIONS"   "The user has the maximum number of live connections to this process, and as many that are closing.";
    RateLimited          429 "RATE_LIMITED"           "The caller exceeded its rate limit; `Retry-After` says when to try again.";
    Internal             500 "INTERNAL"               "The service failed unexpectedly.";
    ArchiveDamaged       500 "ARCHIVE_DAMAGED"        "A part of the history is damaged or missing in the archive. The rest of it works.";
    Busy                 503 "BUSY"                   "This process has the maximum number of connections or of live connections. Try again; another process may accept the connection.";
    Unavailable          503 "UNAVAILABLE"            "Redis is unreachable; nothing was changed. Try again.";
    ArchiveUnavailable   503 "ARCHIVE_UNAVAILABLE"    "The archive with the older messages does not answer. Newer messages work; try again.";
    OutcomeUnknown       503 "OUTCOME_UNKNOWN"        "The connection to Redis broke during the change, which may or may not have been made.";
    StorageFull          507 "STORAGE_FULL"           "Redis has no memory left for new messages; nothing was changed. Reading still works.";
}

impl Code {
    /// Whether the same request may succeed later, so that the answer carries `Retry-After`.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Code::TooManyConnections
                | Code::RateLimited
                | Code::Busy
                | Code::Unavailable
                | Code::ArchiveUnavailable
                | Code::OutcomeUnknown
        )
    }

    /// Whether the archive failed, and nothing else.
    pub const fn is_of_archive(self) -> bool {
        matches!(self, Code::ArchiveUnavailable | Code::ArchiveDamaged)
    }

    /// The code with this word, as scripts and Redis return it.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901) into the body (`/attachments/0/url`), or another part of the request:
    /// `/path/user`, `/query/limit`, `/header/content-type`.
    pub pointer: String,
    /// What is wrong with the field, for humans.
    pub detail: String,
}

/// An error on its way to the client.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.word())]
pub struct Error {
    /// The row of the table.
    pub code: Code,
    /// A description for humans. Never contains message bodies or secrets.
    pub detail: Cow<'static, str>,
    /// The invalid fields; empty if the error is not about the content of the request.
    pub fields: Vec<FieldError>,
    /// The rate limit that the caller exceeded.
    pub quota: Option<RateLimitStatus>,
    /// What a partly failed import stored.
    pub stored: Option<Box<PartialImport>>,
}

/// The messages that a partly failed import stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialImport {
    pub imported: u64,
    /// Messages that were already stored.
    pub skipped: u64,
}

impl Error {
    /// An error with a detail of its own.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            quota: None,
            stored: None,
        }
    }

    /// The same error for an operation that only reads: its outcome is never unknown, because nothing was
    /// changed.
    #[must_use]
    pub fn as_read_error(self) -> Self {
        match self.code {
            Code::OutcomeUnknown => Code::Unavailable.into(),
            _ => self,
        }
    }

    /// The same error with `prefix` in front of each pointer.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        for field in &mut self.fields {
            field.pointer.insert_str(0, prefix);
        }
        self
    }

    /// The same error with the pointer `to` in place of `from`.
    #[must_use]
    pub fn with_pointer(mut self, from: &str, to: &str) -> Self {
        for field in &mut self.fields {
            if field.pointer == from {
                to.clone_into(&mut field.pointer);
            }
        }
        self
    }

    /// Whether the error is about this field.
    pub fn names(&self, pointer: &str) -> bool {
        self.fields.iter().any(|field| field.pointer == pointer)
    }

    /// An error about one field.
    pub fn field(
        code: Code,
        pointer: impl Into<String>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let field = FieldError {
            pointer: pointer.into(),
            detail: detail.into().into_owned(),
        };
        Self {
            code,
            detail: code.meaning().into(),
            fields: vec![field],
            quota: None,
            stored: None,
        }
    }

    /// Seconds after which trying again makes sense (`Retry-After`, RFC 9110 section 10.2.3).
    pub fn retry_after(&self) -> Option<u64> {
        let wait = self.quota.map_or(1, |quota| quota.wait_s());
        (self.code.is_retryable() || self.quota.is_some()).then_some(wait)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code, code.meaning())
    }
}
