//! The words of the trade as types: valid by construction, without input or output.
//!
//! A value of one of these types was checked when it was made, so nothing below the HTTP layer
//! checks again.

mod content;
mod conversation;
mod draft;
mod edit;
mod import;
mod inbox;
mod leaving;
mod message;
mod object;
mod parse;
mod presence;
mod retention;
mod retry;
mod seq;
mod user;
mod whole;

pub use content::{Attachment, Body, Metadata};
pub use conversation::{Conversation, Flag, Limit, PageQuery, Range};
pub use draft::{Draft, NewMessage, fresh_id};
pub use edit::{Edit, Emoji, Upto};
pub use import::{Import, ImportLine};
pub use inbox::{ConversationState, Inbox, InboxCursor, InboxQuery, Row, UnreadTotals};
pub use leaving::Erasure;
pub use message::{Message, StoredMessage, digest, rfc3339};
pub use object::Object;
pub use parse::{parse_json, parse_value, pointer};
pub use presence::{Presence, PresenceQuery, Presences};
pub use retention::Retention;
pub use retry::IdempotencyKey;
pub use seq::Seq;
pub use user::{Pair, UserId};
