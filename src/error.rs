//! Everything that can go wrong, as a client sees it: one table, one type.
//!
//! The word in the table's second column is the same everywhere: a Lua script refuses with
//! `redis.error_reply('REPLY_TO_NOT_FOUND ...')`, Redis counts it under `INFO errorstats`, the
//! problem document (RFC 9457) carries it as `code`, and `/metrics` labels with it.

use std::borrow::Cow;

use crate::rate::RateLimitStatus;

/// Declares [`Code`] from rows of `variant, status, word, what it means`.
macro_rules! codes {
    ($($variant:ident $status:literal $word:literal $meaning:literal;)*) => {
        /// The kinds of failure. Each is one row of the table: word, HTTP status, meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The word a client switches on, e.g. `STORAGE_FULL`.
            pub const fn word(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }

            /// The HTTP status (RFC 9110; 507 is of RFC 4918).
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// What it means, for a person; the `detail` of a problem that has nothing closer to say.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidRequest       400 "INVALID_REQUEST"        "A field, a parameter or a header is missing, unknown or not acceptable; `errors` names it.";
    MalformedJson        400 "MALFORMED_JSON"         "The body is not valid JSON (RFC 8259).";
    Unauthenticated      401 "UNAUTHENTICATED"        "The request shows no credential, or none that is accepted.";
    Forbidden            403 "FORBIDDEN"              "The credential is good, but not for this.";
    Blocked              403 "BLOCKED"                "The recipient does not take messages from the sender.";
    NotFound             404 "NOT_FOUND"              "There is nothing at this path.";
    MessageNotFound      404 "MESSAGE_NOT_FOUND"      "There is no such message, or not for this user.";
    MethodNotAllowed     405 "METHOD_NOT_ALLOWED"     "This path does not take this method; `Allow` lists those it takes.";
    RequestTimeout       408 "REQUEST_TIMEOUT"        "The request's body did not arrive in time.";
    MessageChanged       409 "MESSAGE_CHANGED"        "The message was changed meanwhile, again and again; nothing was done.";
    ImportConflict       409 "IMPORT_CONFLICT"        "The conversation has messages that were sent here; import before they are.";
    MessageDeleted       409 "MESSAGE_DELETED"        "The message was deleted and cannot be changed any more.";
    PreconditionFailed   412 "PRECONDITION_FAILED"    "The message is not what `If-Match` says any more.";
    PayloadTooLarge      413 "PAYLOAD_TOO_LARGE"      "The request's body is larger than 64 KiB.";
    UnsupportedMediaType 415 "UNSUPPORTED_MEDIA_TYPE" "The body must be sent as `Content-Type: application/json`.";
    IdempotencyKeyReused 422 "IDEMPOTENCY_KEY_REUSED" "This `Idempotency-Key` came with another message before.";
    TooFarBack           422 "TOO_FAR_BACK"           "The message is too far back to mark as unread from there on.";
    TooManyReactions     422 "TOO_MANY_REACTIONS"     "The message has as many different reactions as it can take.";
    ReplyToNotFound      422 "REPLY_TO_NOT_FOUND"     "`reply_to` names no message of this conversation.";
    UpgradeRequired      426 "UPGRADE_REQUIRED"       "This path speaks the WebSocket protocol (RFC 6455) only.";
    TooManyConnections   429 "TOO_MANY_CONNECTIONS"   "The user has as many connections to this process as one may have.";
    RateLimited          429 "RATE_LIMITED"           "Too many requests; `Retry-After` says when to come back.";
    Internal             500 "INTERNAL"               "The service failed in a way it should not; nothing more is known.";
    Busy                 503 "BUSY"                   "This process takes no more connections; try again, perhaps another takes it.";
    Unavailable          503 "UNAVAILABLE"            "The store is not reachable; nothing was changed. Try again.";
    OutcomeUnknown       503 "OUTCOME_UNKNOWN"        "The store was lost while it worked; the change may or may not have been made.";
    StorageFull          507 "STORAGE_FULL"           "The store has no memory left for new messages; nothing was changed. Reading still works.";
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
                | Code::OutcomeUnknown
        )
    }

    /// The code a script or Redis refused with, if the table knows its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}

/// One field at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON Pointer (RFC 6901) into the body (`/attachments/0/url`), or `/path/user`,
    /// `/query/limit`, `/header/content-type` for what stands outside it.
    pub pointer: String,
    /// What is wrong with it, for a person.
    pub detail: String,
}

/// A failure on its way to the client.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.word())]
pub struct Error {
    /// Which row of the table.
    pub code: Code,
    /// What happened this time, for a person. Never holds a message's body or a secret.
    pub detail: Cow<'static, str>,
    /// The fields at fault; empty when the failure is not about the request's content.
    pub fields: Vec<FieldError>,
    /// What the caller has left, if the failure is that it has too little.
    pub quota: Option<RateLimitStatus>,
}

impl Error {
    /// A failure with its own words.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            quota: None,
        }
    }

    /// The same failure of something that only read: whether it ran or not, nothing was changed.
    #[must_use]
    pub fn as_read_error(self) -> Self {
        match self.code {
            Code::OutcomeUnknown => Code::Unavailable.into(),
            _ => self,
        }
    }

    /// The same failure, of something that stands at `prefix` of the request.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        for field in &mut self.fields {
            field.pointer.insert_str(0, prefix);
        }
        self
    }

    /// The same failure with the pointer `to` in place of `from`.
    #[must_use]
    pub fn with_pointer(mut self, from: &str, to: &str) -> Self {
        for field in &mut self.fields {
            if field.pointer == from {
                to.clone_into(&mut field.pointer);
            }
        }
        self
    }

    /// The refusal of one field.
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
        }
    }

    /// Seconds after which trying again makes sense (`Retry-After`, RFC 9110 section 10.2.3).
    pub fn retry_after(&self) -> Option<u64> {
        let wait = self.quota.map_or(1, |quota| quota.wait_s());
        self.code.is_retryable().then_some(wait)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code, code.meaning())
    }
}
