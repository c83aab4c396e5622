//! The events of the feed, as subscriptions read them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FeedEventId, Message, Peer, RoomId, Seq, UserId};

macro_rules! feed_event_types {
    ($($(#[doc = $doc:tt])* $variant:ident $word:tt,)*) => {
        /// The type of an event of the feed.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
        )]
        pub enum FeedEventType {
            $($(#[doc = $doc])* #[serde(rename = $word)] $variant,)*
        }

        impl FeedEventType {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The type as events state it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

feed_event_types! {
    /// A user sent a message.
    MessageCreated "message.created",
    /// A message was edited, or its reactions changed.
    MessageUpdated "message.updated",
    /// A message was deleted, or expired.
    MessageDeleted "message.deleted",
    /// A user has read up to a message.
    ConversationRead "conversation.read",
    /// A device of a user has received up to a message. Only for subscriptions that name it.
    ConversationDelivered "conversation.delivered",
    /// A room was created.
    RoomCreated "room.created",
    /// The settings of a room, or the role of a member, changed.
    RoomChanged "room.changed",
    /// A room was deleted.
    RoomDeleted "room.deleted",
    /// A user became a member of a room.
    RoomJoined "room.joined",
    /// A user is no longer a member of a room.
    RoomLeft "room.left",
    /// All data of a user was erased.
    UserErased "user.erased",
    /// The unread totals of a user changed, or the user has a new message. Only for subscriptions that name it.
    BadgeChanged "badge.changed",
}

impl FeedEventType {
    /// The type that events state so.
    pub fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.as_str() == word)
    }

    /// The types of subscriptions that name none.
    pub fn defaults() -> Vec<Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|kind| !matches!(kind, Self::ConversationDelivered | Self::BadgeChanged))
            .collect()
    }
}

/// The events that a consumer is given, those of each conversation in order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FeedPage {
    /// The events. They are given again, also to other consumers, until they are acknowledged.
    pub events: Vec<FeedEvent>,
    /// Number of events that the subscription lost since it was created, because they were too old or too many.
    /// Counted within 10 seconds. If it grew, read the conversations anew.
    pub lost: u64,
}

/// An event of the feed. Later versions may add types: a client ignores an event whose `type` it does not know, and
/// acknowledges it.
// The store writes the events, and they are passed on as text (`RawFeedEvent`). This type declares their schemas and
// reads them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
pub enum FeedEvent {
    /// A user sent a message.
    #[serde(rename = "message.created")]
    #[schema(title = "FeedMessageCreated")]
    MessageCreated(Box<FeedMessageEvent>),
    /// A message was edited, or its reactions changed.
    #[serde(rename = "message.updated")]
    #[schema(title = "FeedMessageUpdated")]
    MessageUpdated(Box<FeedMessageEvent>),
    /// A message was deleted, or expired; `message` is its tombstone.
    #[serde(rename = "message.deleted")]
    #[schema(title = "FeedMessageDeleted")]
    MessageDeleted(Box<FeedMessageEvent>),
    /// A user has read up to a message.
    #[serde(rename = "conversation.read")]
    #[schema(title = "FeedConversationRead")]
    ConversationRead(FeedReadEvent),
    /// A device of a user has received up to a message.
    #[serde(rename = "conversation.delivered")]
    #[schema(title = "FeedConversationDelivered")]
    ConversationDelivered(FeedDeliveredEvent),
    /// A room was created.
    #[serde(rename = "room.created")]
    #[schema(title = "FeedRoomCreated")]
    RoomCreated(FeedRoomEvent),
    /// The settings of a room, or the role of a member, changed.
    #[serde(rename = "room.changed")]
    #[schema(title = "FeedRoomChanged")]
    RoomChanged(FeedRoomEvent),
    /// A room was deleted.
    #[serde(rename = "room.deleted")]
    #[schema(title = "FeedRoomDeleted")]
    RoomDeleted(FeedRoomEvent),
    /// A user became a member of a room.
    #[serde(rename = "room.joined")]
    #[schema(title = "FeedRoomJoined")]
    RoomJoined(FeedMemberEvent),
    /// A user is no longer a member of a room.
    #[serde(rename = "room.left")]
    #[schema(title = "FeedRoomLeft")]
    RoomLeft(FeedMemberEvent),
    /// All data of a user was erased.
    #[serde(rename = "user.erased")]
    #[schema(title = "FeedUserErased")]
    UserErased(FeedUserEvent),
    /// The unread totals of a user changed, or the user has a new message.
    #[serde(rename = "badge.changed")]
    #[schema(title = "FeedBadgeChanged")]
    BadgeChanged(Box<FeedBadgeEvent>),
    /// An event of a type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What all events have.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FeedEnvelope {
    /// The id, the same each time that the event is given, and for all subscriptions.
    pub id: FeedEventId,
    /// When it happened (RFC 3339).
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// How often the event was given to a consumer of this subscription, this time included.
    pub attempt: u64,
}

/// The conversation of an event.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FeedConversation {
    /// The two users of the conversation, in the order of their ids; absent in a room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 2, max_items = 2)]
    pub users: Option<Vec<UserId>>,
    /// The room; absent in a conversation of two users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub room: Option<RoomId>,
    /// The user who acted; absent if nobody did: a message expired, or a backend acted on a room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub by: Option<UserId>,
    /// The `seq` of the newest message.
    pub last_seq: Seq,
}

macro_rules! feed_events {
    ($($(#[doc = $doc:tt])* $event:ident $data:ident {
        $($(#[$attribute:meta])* $member:ident: $type:ty,)*
    })*) => {
        $($(#[doc = $doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
        pub struct $event {
            #[serde(flatten)]
            pub envelope: FeedEnvelope,
            /// What happened.
            pub data: $data,
        }

        /// What happened.
        #[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
        pub struct $data {
            $($(#[$attribute])* pub $member: $type,)*
        })*
    };
}

feed_events! {
    /// An event about a message.
    FeedMessageEvent FeedMessageData {
        #[serde(flatten)]
        conversation: FeedConversation,
        /// The message as it is after the event.
        message: Message,
    }
    /// A user has read up to a message.
    FeedReadEvent FeedReadData {
        #[serde(flatten)]
        conversation: FeedConversation,
        /// The message up to which the user has read.
        read_seq: Seq,
    }
    /// A device of a user has received up to a message.
    FeedDeliveredEvent FeedDeliveredData {
        #[serde(flatten)]
        conversation: FeedConversation,
        /// The message up to which the device has received the conversation.
        delivered_seq: Seq,
    }
    /// An event about a room.
    FeedRoomEvent FeedRoomData {
        #[serde(flatten)]
        conversation: FeedConversation,
        /// The user whose role changed; absent if it is about the settings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        user: Option<UserId>,
    }
    /// An event about a member of a room.
    FeedMemberEvent FeedMemberData {
        #[serde(flatten)]
        conversation: FeedConversation,
        /// The member.
        user: UserId,
    }
    /// What a user's app shows on its icon, and what a push notification says.
    FeedBadgeEvent FeedBadgeData {
        /// The user whose badge it is.
        user: UserId,
        /// Number of unread messages, as `GET /users/{user}/unread` counts them at that moment; so are the next two.
        total_unread_count: u64,
        /// Number of conversations with unread messages.
        unread_conversations: u64,
        /// Number of unread messages in muted conversations.
        muted_unread_count: u64,
        /// The peer of the conversation that changed: a user, or `room:` and the id of a room.
        peer: Peer,
        /// Number of unread messages in that conversation.
        unread_count: u64,
        /// Whether the user has muted that conversation.
        muted: bool,
        /// Whether the user has a live connection.
        online: bool,
        /// Whether `message` mentions the user.
        mentioned: bool,
        /// The type of the event that caused it. `message.created` means that `message` is new and that the user has not
        /// read it.
        #[schema(example = "message.created")]
        cause: String,
        /// The message, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        message: Option<Message>,
    }
    /// An event about a user.
    FeedUserEvent FeedUserData {
        /// The user.
        user: UserId,
    }
}
