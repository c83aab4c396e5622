//! Domain types, valid by construction and free of I/O: users, messages, conversations, inboxes.
//!
//! A value is validated when it is created, so no layer below HTTP validates it again.

mod attachment;
mod attachment_url;
mod blocks;
mod content;
mod conversation;
mod dead_letter;
mod edit;
mod emoji;
mod erasure;
mod expiry;
mod export;
mod feed;
mod feed_event;
mod idempotency_key;
mod import;
mod import_line;
mod imported_message;
mod inbox;
mod inbox_entry;
mod json;
pub mod limits;
mod message;
mod origin;
mod page;
mod peer;
mod pending_message;
mod precondition;
mod presence;
mod retention;
mod room;
mod room_member;
mod seek;
mod seq;
mod settings;
mod subscription;
mod ticket;
mod time;
mod unread;
mod user;
mod webhook;
mod webhook_networks;

pub use attachment::{Attachment, AttachmentInput};
pub use blocks::{Block, BlockPage, BlocksCursor, BlocksQuery};
pub use content::{Body, ClientId, Metadata};
pub use conversation::Conversation;
pub use dead_letter::{
    DeadLetter, DeadLetterPage, DeadLetterSelection, DeadLettersCursor, DeadLettersQuery,
    RawDeadLetter, RawDeadLetters, RetriedDeadLetters,
};
pub use edit::{Edit, ReadRequest, ReceiptRequest};
pub use emoji::Emoji;
pub use erasure::Erasure;
pub use expiry::{ExpiresIn, expired};
pub use export::ExportLine;
pub use feed::{
    AckInput, AckResult, ConsumerName, FeedEventId, RawFeedEvent, RawFeedPage, TakeQuery,
};
pub use feed_event::{FeedEvent, FeedEventType, FeedPage};
pub use idempotency_key::IdempotencyKey;
pub use import::{ImportResult, parse_batch};
pub use import_line::{ImportLine, SeenLines};
pub use imported_message::ImportedMessage;
pub use inbox::{ConversationState, Inbox, InboxCursor, InboxQuery};
pub use inbox_entry::{InboxEntry, InboxRow};
pub use json::{MergePatch, parse_json, parse_value, pointer};
pub use message::{Message, StoredMessage, digest, rfc3339};
pub use origin::{OriginPattern, is_origin_of};
pub use page::{Limit, PageQuery, PageTime, Range, Wait};
pub use peer::{Participants, Peer, RoomName};
pub use pending_message::{MessageInput, PendingMessage, fresh_id};
pub use precondition::Precondition;
pub use presence::{Presence, Presences, UsersQuery};
pub use retention::Retention;
pub use room::{
    JoinRule, RoomHistory, RoomId, RoomInput, RoomProfile, RoomQuery, RoomState, RoomSummary,
    RoomTitle,
};
pub use room_member::{
    MemberInput, MemberPage, MembersQuery, RoomMember, RoomMembership, RoomRole,
};
pub use seek::{SeekInput, SeekResult, SeekTarget};
pub use seq::{Seq, parse_decimal};
pub use settings::{ConversationMetadata, ConversationPatch, Flag, Flags, Mute};
pub use subscription::{
    AckWait, Backlog, ConsumerState, FeedStart, Subscription, SubscriptionInput, SubscriptionList,
    SubscriptionName, SubscriptionSettings, SubscriptionState,
};
pub use ticket::{IssuedTicket, TicketRequest};
pub use time::Time;
pub use unread::{MarkedRead, UnreadOfUsers, UnreadTotals, UserUnread};
pub use user::{Pair, UserId};
pub use webhook::{WebhookSecret, WebhookUrl};
pub use webhook_networks::WebhookNetworks;
