//! Domain types, valid by construction and free of I/O: users, messages, conversations, inboxes.
//!
//! A value is validated when it is created, so no layer below HTTP validates it again.

mod attachment;
mod blocks;
mod content;
mod conversation;
mod edit;
mod emoji;
mod erasure;
mod expiry;
mod idempotency_key;
mod import;
mod inbox;
mod json;
pub mod limits;
mod message;
mod origin;
mod page;
mod pending_message;
mod precondition;
mod presence;
mod retention;
mod seq;
mod settings;
mod ticket;
mod time;
mod user;

pub use attachment::{Attachment, NewAttachment};
pub use blocks::{Block, Blocks, BlocksCursor, BlocksQuery};
pub use content::{Body, ClientId, Metadata};
pub use conversation::Conversation;
pub use edit::{Edit, ReadRequest, ReceiptRequest};
pub use emoji::Emoji;
pub use erasure::Erasure;
pub use expiry::{ExpiresIn, expired};
pub use idempotency_key::IdempotencyKey;
pub use import::{Import, ImportLine, ImportedMessage, SeenLines, parse_batch};
pub use inbox::{
    ConversationState, Inbox, InboxCursor, InboxEntry, InboxQuery, MarkedRead, UnreadOfUsers,
    UnreadTotals, UserUnread,
};
pub use json::{MergePatch, parse_json, parse_value, pointer};
pub use message::{Message, StoredMessage, digest, rfc3339};
pub use origin::{OriginPattern, is_origin_of};
pub use page::{Limit, PageQuery, PageTime, Range};
pub use pending_message::{NewMessage, PendingMessage, fresh_id};
pub use precondition::Precondition;
pub use presence::{Presence, Presences, UsersQuery};
pub use retention::Retention;
pub use seq::Seq;
pub use settings::{ConversationMetadata, ConversationPatch, Flag, Flags, Mute};
pub use ticket::{NewTicket, Ticket};
pub use time::Time;
pub use user::{Pair, Participants, UserId};
