//! The names of all keys, one function per key.
//!
//! | key | type | slot | expires | written by |
//! |---|---|---|---|---|
//! | `dm:{c}:messages:<pair>` | list of JSON messages, newest first | conversation | never | `send_message`, `replace_message`, `delete_message`, `erase_messages`, `forget_conversation`, `import_messages`, `seal_segment`, `every change` |
//! | `dm:{c}:meta:<pair>` | hash: `state` of the conversation with the unread counts and the marks of the users, `erased:<id>`, `metadata:<id>`; see `lua/lib/state.lua`; what is in the archive, see `lua/lib/archive.lua` | conversation | never | `every change`, `seal_segment`, `drop_segments` |
//! | `dm:{c}:idempotency:<pair>,<sender>,<key>` | string: fingerprint, seq and id of what an idempotency key produced | conversation | 24 h | `send_message` |
//! | `dm:{c}:imported:<pair>` | hash: digest of the id of an imported message -> digest of the message | conversation | 30 days after the last import | `import_messages`, `forget_conversation` |
//! | `dm:{u}:inbox:<user>` | zset: peer -> its place in the inbox; see `lua/lib/order.lua` | user | never | `every change`, `update_inbox`, `forget_row`, `forget_user` |
//! | `dm:{u}:conversations:<user>` | hash: peer -> row; `,totals`, `,epoch`, `,pinned`; see `lua/lib/row.lua` | user | never | `every change`, `update_inbox`, `open_stream`, `forget_row`, `forget_user` |
//! | `dm:{u}:events:<user>` | list: the journal, newest event first; also the name of the pub/sub channel; followed by `,<n>` in database n | user | 7 days after the last connection | `every change`, `update_inbox`, `open_stream`, `renew_presence`, `drop_events`, `forget_row`, `forget_user`, `announce_typing` |
//! | `dm:{u}:rooms:<user>` | zset: room that the user is in or is joining -> time of the reservation in us | user | never | `reserve_room`, `release_room`, `forget_room_row` |
//! | `dm:{u}:presence:<user>` | zset: process -> time of the last renewal; `` -> when the user went offline; in ms | user | 90 days | `renew_presence`, `leave_presence`, `forget_user` |
//! | `dm:{u}:leases` | zset: user of this partition -> time of the last renewal, in ms | user | never | `renew_presence`, `leave_presence`, `forget_user` |
//! | `dm:{c}:schedule` | zset: scheduled entry of this partition -> time in ms; see `lua/lib/schedule.lua` | conversation | never | `send_message`, `import_messages`, `delete_message`, `erase_messages`, `expire_message`, `flag_conversation`, `end_mute`, `forget_conversation`, `claim_due` |
//! | `dm:{c}:outbox` | zset: room, and on a cluster pair or member of a room, of this partition -> version that inboxes do not have yet; see `lua/lib/outbox.lua` | conversation | never | `every change`, `every change of a room`, `take_room_events`, `confirm_updates`, `forget_conversation` |
//! | `dm:{c}:long` | zset: conversation of this partition of which messages are to move to the archive -> when they move next, in ms | conversation | never | `note_long_conversation`, `take_segment`, `claim_due` |
//! | `dm:{c}:garbage` | zset: object of the archive that does not count -> when it is deleted, in ms; see `lua/lib/archive_change.lua` | conversation | never | `note_object`, `seal_segment`, `replace_message`, `delete_message`, `expire_message`, `replace_room_message`, `delete_room_message`, `expire_room_message`, `erase_segment`, `erase_room_segment`, `drop_segments`, `forget_conversation`, `erase_room`, `forget_objects`, `claim_due` |
//! | `dm:{r}:messages:<room>` | list of JSON messages, newest first | room | never | `send_room_message`, `replace_room_message`, `delete_room_message`, `expire_room_message`, `seal_segment`, `every change of a room` |
//! | `dm:{r}:meta:<room>` | hash: `state`, settings and `filed` of the room, `erased:<id>`, `metadata:<id>`; see `lua/lib/room.lua`; what is in the archive, see `lua/lib/archive.lua` | room | never | `every change of a room`, `take_room_events`, `seal_segment`, `drop_segments` |
//! | `dm:{r}:members:<room>` | hash: member -> role, marks and settings; see `lua/lib/room.lua` | room | never | `every change of a room` |
//! | `dm:{r}:room_events:<room>` | stream: the newest events of the room, all that are not filed; also the name of the pub/sub channel; followed by `,<n>` in database n | room | 24 h after the last filing | `every change of a room`, `take_room_events` |
//! | `dm:{r}:lease:<room>` | string: which process files the events of the room | room | 4 s after the last step | `every change of a room`, `take_room_events` |
//! | `dm:{r}:idempotency:<room>,<sender>,<key>` | string: fingerprint, seq and id of what an idempotency key produced | room | 24 h | `send_room_message` |
//! | `dm:{c}:feed` | stream, only while there is a subscription: what happened in this partition; see `lua/lib/feed.lua`; also the name of the pub/sub channel | conversation | never | `every change`, `forget_user`, `open_feed`, `close_feed`, `seek_feed`, `take_events`, `ack_events`, `settle_delivery`, `trim_feed` |
//! | `dm:{c}:readers` | hash, only while there is a subscription: consumer group of the feed -> what it lost and who reads; see `lua/lib/reader.lua` | conversation | never | `open_feed`, `close_feed`, `settle_delivery`, `take_events`, `trim_feed` |
//! | `dm:{u}:badges` | stream, only while a subscription reads badges: what the totals of users of this partition become; see `lua/lib/badges.lua` | user | never | `every change`, `update_inbox`, `file_room_events`, `forget_row`, `open_feed`, `close_feed`, `seek_feed`, `take_events`, `ack_events`, `settle_delivery`, `trim_feed` |
//! | `dm:{u}:badge_readers` | hash: the same as `readers`, of the badges | user | never | `open_feed`, `close_feed`, `settle_delivery`, `take_events`, `trim_feed` |
//! | `dm:{c}:typing:<pair>,<user>` | string: exists while no further typing event is published | conversation | 1 s | `announce_typing` |
//! | `dm:{r}:typing:<room>,<user>` | string: exists while no further typing event is published | room | 1 s | `announce_room_typing` |
//! | `dm:{u}:forgotten:<user>` | string, only on a cluster: version up to which a conversation was forgotten; `<user>` is a digest of the user and the peer, because the user was erased | user | 1 h | `forget_row` |
//! | `dm:{u}:pinning:<user>` | zset, only on a cluster: peer and request, `<peer>,<request>`, of a pin that its row may not have yet -> time in s | user | 10 min after the last pin | `reserve_pin`, `release_pin`, `forget_user` |
//! | `dm:{u}:ticket:<user>` | string: the bearer; `<user>` is a ticket's digest | user | 30 s | `issue_ticket`, `redeem_ticket` |
//! | `dm:{u}:rate:<user>` | string: when a bucket is full again, in us; `<user>` is a policy and a caller, `send,user,alice` | user | when full | `charge_rate`, `every charge` |
//! | `dm:subscriptions` | hash: name of a subscription -> its settings | subscriptions | never | `set_subscription`, `delete_subscription`, `settle_subscription`, `stop_webhook` |
//! | `dm:{s}:webhook:<subscription>` | hash: secrets, lease and circuit of a webhook; see `lua/lib/subscription.lua` | subscriptions | never | `set_subscription`, `settle_subscription`, `lease_webhook` |
//! | `dm:{s}:dead:<subscription>` | hash: id of an event that a webhook did not take -> the event; see `lua/lib/dead_letter.lua` | subscriptions | 30 days after the last one | `set_subscription`, `settle_subscription`, `file_dead_letter`, `settle_dead_letter`, `erase_dead_letters` |
//! | `dm:{s}:dead_order:<subscription>` | zset: the same ids -> when the event failed, in us | subscriptions | 30 days after the last one | `set_subscription`, `settle_subscription`, `file_dead_letter`, `retry_dead_letters`, `settle_dead_letter`, `erase_dead_letters` |
//! | `dm:{s}:badge_subscriptions` | hash: names of the subscriptions that read badges, with empty values | subscriptions | never | `set_subscription`, `settle_subscription` |
//! | `dm:{s}:erased` | zset: user who was erased -> when, in us; see `lua/lib/dead_letter.lua` | subscriptions | 73 h after the last erasure | `note_erasure` |
//! | `dm:store` | string: the store's format and number of partitions | its own | never | `open_store` |
//!
//! Commas separate names, because no id contains one. `<room>` is `room:` and the id of a room. `every change` means
//! the scripts that include `lib/commit`, `every change of a room` those that include `lib/commit_room` or
//! `lib/commit_member`, `every charge` those that include `lib/rate`.
//!
//! `{s}` is `{dm:subscriptions}`, so that everything of subscriptions but their feeds is in the slot of
//! `dm:subscriptions`.
//!
//! `{c}`, `{r}` and `{u}` are hash tags, which determine the slot in a Redis Cluster. A tag names one of 256
//! *partitions*, so that all keys of a conversation are on one node, and a node can enumerate its
//! partitions, which would be impossible with one tag per pair.

use crc::{CRC_16_XMODEM, CRC_32_ISO_HDLC, Crc};

use super::Channel;
use crate::model::limits::FEED_PARTITIONS;
use crate::model::{IdempotencyKey, Pair, Peer, RoomName, UserId, digest};
use crate::rate::RateLimitRequest;

/// The number of partitions of conversations and users. Stored in `dm:store`; another number would
/// rename every key.
pub const PARTITIONS: u16 = 256;
// The badges of a partition have its number and 256.
const _: () = assert!(FEED_PARTITIONS == 2 * PARTITIONS);

/// The number of slots of a Redis Cluster.
pub(super) const SLOTS: u16 = 16384;
/// The hash from tag to slot.
const SLOT_HASH: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
/// The hash from pair or user to partition. Part of the storage format, like [`PARTITIONS`].
const PARTITION_HASH: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

pub struct Keys {
    /// The tag of each partition: the smallest decimal number whose slot is in the partition's range
    /// of slots, so that partitions are spread evenly over the nodes of a cluster.
    tags: Vec<String>,
    /// The end of the names of journals: a comma and the number of the database, or nothing for database 0.
    /// Without it, databases of one Redis would share channels.
    database: String,
}

impl Keys {
    /// Finds the tags of all partitions, which takes about 1,500 hashes.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut tags = vec![String::new(); usize::from(PARTITIONS)];
        let mut missing = tags.len();
        for number in 0u32.. {
            let tag = number.to_string();
            let slot = slot_of(&tag);
            let partition = &mut tags[usize::from(slot / (SLOTS / PARTITIONS))];
            if partition.is_empty() {
                *partition = tag;
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        Self {
            tags,
            database: String::new(),
        }
    }

    /// The same names for another database of Redis.
    #[must_use]
    pub fn in_database(mut self, database: i64) -> Self {
        if database != 0 {
            self.database = format!(",{database}");
        }
        self
    }

    /// The tags of all partitions, in order of their slots.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// The messages of a pair.
    pub fn messages(&self, pair: &Pair) -> String {
        self.of_pair("messages", pair)
    }

    /// The state of a pair, and the marks and unread counts of its users.
    pub fn meta(&self, pair: &Pair) -> String {
        self.of_pair("meta", pair)
    }

    /// The messages that were imported into a pair.
    pub fn imported(&self, pair: &Pair) -> String {
        self.of_pair("imported", pair)
    }

    /// The schedule of the partition of a pair or a room.
    pub fn schedule(&self, conversation: &str) -> String {
        schedule(self.tag(conversation))
    }

    /// The schedule of a partition.
    pub fn schedule_of(&self, partition: usize) -> String {
        schedule(&self.tags[partition])
    }

    /// The outbox of the partition of a pair or a room.
    pub fn outbox(&self, conversation: &str) -> String {
        outbox(self.tag(conversation))
    }

    /// The outbox of a partition.
    pub fn outbox_of(&self, partition: usize) -> String {
        outbox(&self.tags[partition])
    }

    /// The conversations of a partition of which messages are to move to the archive, in the partition of one of them.
    pub fn long(&self, conversation: &str) -> String {
        long(self.tag(conversation))
    }

    /// The same of a partition.
    pub fn long_of(&self, partition: usize) -> String {
        long(&self.tags[partition])
    }

    /// The objects to delete of the partition of a conversation.
    pub fn garbage(&self, conversation: &str) -> String {
        garbage(self.tag(conversation))
    }

    /// The objects to delete of a partition.
    pub fn garbage_of(&self, partition: usize) -> String {
        garbage(&self.tags[partition])
    }

    /// The messages and the meta of a pair or a room.
    pub fn named(&self, conversation: &str) -> [String; 2] {
        let tag = self.tag(conversation);
        ["messages", "meta"].map(|kind| key(tag, kind, conversation))
    }

    /// The feed of the partition of a conversation or a user.
    pub fn feed(&self, name: &str) -> String {
        feed(self.tag(name))
    }

    /// The feed of one of the [`FEED_PARTITIONS`]: of a partition, or from 256 on the badges of its users.
    pub fn feed_of(&self, partition: usize) -> String {
        match partition.checked_sub(PARTITIONS.into()) {
            None => feed(&self.tags[partition]),
            Some(partition) => badges(&self.tags[partition]),
        }
    }

    /// The badges of the partition of a user.
    pub fn badges(&self, user: &str) -> String {
        badges(self.tag(user))
    }

    /// Whether a channel is that of a feed.
    pub fn is_feed(channel: &str) -> bool {
        channel.ends_with("}:feed")
    }

    /// The feed of one of the [`FEED_PARTITIONS`], and who reads it.
    pub fn feed_and_readers(&self, partition: usize) -> [String; 2] {
        let (tag, readers) = match partition.checked_sub(PARTITIONS.into()) {
            None => (&self.tags[partition], "}:readers"),
            Some(partition) => (&self.tags[partition], "}:badge_readers"),
        };
        [self.feed_of(partition), ["dm:{", tag, readers].concat()]
    }

    /// The settings of all subscriptions.
    pub fn subscriptions(&self) -> String {
        "dm:subscriptions".to_owned()
    }

    /// The secrets and the state of the webhook of a subscription.
    pub fn webhook(&self, subscription: &str) -> String {
        of_subscription("webhook", subscription)
    }

    /// The dead letters of a subscription, and their order.
    pub fn dead_letters(&self, subscription: &str) -> [String; 2] {
        [
            of_subscription("dead", subscription),
            of_subscription("dead_order", subscription),
        ]
    }

    /// The users who were erased while events from before can still be sent to webhooks.
    pub fn erased(&self) -> String {
        erased("dm:subscriptions")
    }

    /// Everything of a subscription but its feeds: the settings of all, its webhook, its dead letters and their order, and
    /// the subscriptions that read badges.
    pub fn subscription(&self, name: &str) -> [String; 5] {
        let [dead, dead_order] = self.dead_letters(name);
        let badges = badge_subscriptions("dm:subscriptions");
        [
            self.subscriptions(),
            self.webhook(name),
            dead,
            dead_order,
            badges,
        ]
    }

    /// Who reads the feed of a partition.
    pub fn readers_of(&self, partition: usize) -> String {
        let [_, readers] = self.feed_and_readers(partition);
        readers
    }

    /// The keys that every conversation has: messages, meta.
    pub fn conversation(&self, pair: &Pair) -> [String; 2] {
        let (tag, pair) = (self.tag(pair.as_str()), pair.as_str());
        ["messages", "meta"].map(|kind| key(tag, kind, pair))
    }

    /// The message that a sender's idempotency key produced. Without a key, a name that is never
    /// written.
    pub fn idempotency(&self, pair: &Pair, key: Option<(&UserId, &IdempotencyKey)>) -> String {
        idempotency(self.of_pair("idempotency", pair), key)
    }

    /// The keys that every change of a room writes: messages, meta, members, events, outbox, lease, feed.
    pub fn room(&self, room: &RoomName) -> [String; 7] {
        [
            self.of_room("messages", room),
            self.room_meta(room),
            self.of_room("members", room),
            self.room_events(room),
            self.outbox(room.as_str()),
            self.of_room("lease", room),
            self.feed(room.as_str()),
        ]
    }

    /// The state of a room, and everything of it but its messages.
    pub fn room_meta(&self, room: &RoomName) -> String {
        self.of_room("meta", room)
    }

    /// The events of a room and the channel of the same name.
    pub fn room_events(&self, room: &RoomName) -> String {
        self.of_room("room_events", room) + &self.database
    }

    /// The message that a sender's idempotency key produced in a room. Without a key, a name that is never written.
    pub fn room_idempotency(
        &self,
        room: &RoomName,
        key: Option<(&UserId, &IdempotencyKey)>,
    ) -> String {
        idempotency(self.of_room("idempotency", room), key)
    }

    /// The messages of a conversation of a user with a peer.
    pub fn messages_with(&self, user: &UserId, peer: &Peer) -> String {
        match peer {
            Peer::User(peer) => self.messages(&Pair::of(user, peer)),
            Peer::Room(room) => self.of_room("messages", room),
        }
    }

    /// The state of a conversation of a user with a peer.
    pub fn meta_with(&self, user: &UserId, peer: &Peer) -> String {
        match peer {
            Peer::User(peer) => self.meta(&Pair::of(user, peer)),
            Peer::Room(room) => self.room_meta(room),
        }
    }

    /// The order of a user's inbox.
    pub fn inbox(&self, user: &str) -> String {
        self.of_user("inbox", user)
    }

    /// The rows of a user's inbox.
    pub fn conversations(&self, user: &str) -> String {
        self.of_user("conversations", user)
    }

    /// The journal of a user and the channel of the same name.
    pub fn events(&self, user: &str) -> String {
        self.of_user("events", user) + &self.database
    }

    /// The name of a channel in Redis.
    pub fn channel(&self, channel: &Channel) -> String {
        match channel {
            Channel::User(user) => self.events(user.as_str()),
            Channel::Room(room) => self.room_events(room),
        }
    }

    /// Reads the name of a channel; `None` if no client can have it.
    pub fn parse_channel(name: &str) -> Option<Channel> {
        // dm:{tag}:<kind>:<name>, or dm:{tag}:<kind>:<name>,<database>
        let (kind, name) = name.splitn(3, ':').nth(2)?.split_once(':')?;
        let name = name.split(',').next()?;
        match kind {
            "events" => UserId::try_from(name.to_owned()).ok().map(Channel::User),
            "room_events" => RoomName::parse(name).map(Channel::Room),
            _ => None,
        }
    }

    /// The keys of a user that every change writes: inbox, conversations, events.
    pub fn user(&self, user: &str) -> [String; 3] {
        let tag = self.tag(user);
        let [inbox, conversations, events] =
            ["inbox", "conversations", "events"].map(|kind| key(tag, kind, user));
        [inbox, conversations, events + &self.database]
    }

    /// The version up to which the conversation of a user with a peer was forgotten.
    pub fn forgotten(&self, user: &str, peer: &str) -> String {
        let names = [user, ",", peer].concat();
        key(self.tag(user), "forgotten", &digest(names.as_bytes()))
    }

    /// The pins of a user that are being made.
    pub fn pinning(&self, user: &str) -> String {
        self.of_user("pinning", user)
    }

    /// The rooms of a user.
    pub fn rooms(&self, user: &str) -> String {
        self.of_user("rooms", user)
    }

    /// The processes that a user is connected to.
    pub fn presence(&self, user: &str) -> String {
        self.of_user("presence", user)
    }

    /// The online users of this user's partition.
    pub fn leases(&self, user: &str) -> String {
        leases(self.tag(user))
    }

    /// The online users of a partition.
    pub fn leases_of(&self, partition: usize) -> String {
        leases(&self.tags[partition])
    }

    /// Limits the typing events of the user to one per second.
    pub fn typing(&self, pair: &Pair, user: &UserId) -> String {
        [&self.of_pair("typing", pair), ",", user.as_str()].concat()
    }

    /// Limits the typing events of a member of a room to one per second.
    pub fn room_typing(&self, room: &RoomName, user: &UserId) -> String {
        [&self.of_room("typing", room), ",", user.as_str()].concat()
    }

    /// The bearer of a ticket.
    pub fn ticket(&self, digest: &str) -> String {
        self.of_user("ticket", digest)
    }

    /// The bucket of a caller under a policy.
    pub fn rate(&self, charge: &RateLimitRequest) -> String {
        self.of_user("rate", &format!("{},{}", charge.policy.name, charge.caller))
    }

    /// The format of this store and its number of partitions.
    pub fn store(&self) -> String {
        "dm:store".to_owned()
    }

    fn of_pair(&self, kind: &str, pair: &Pair) -> String {
        key(self.tag(pair.as_str()), kind, pair.as_str())
    }

    fn of_room(&self, kind: &str, room: &RoomName) -> String {
        key(self.tag(room.as_str()), kind, room.as_str())
    }

    fn of_user(&self, kind: &str, user: &str) -> String {
        key(self.tag(user), kind, user)
    }

    /// The tag of the partition of a pair, a room or a user.
    pub(super) fn tag(&self, member: &str) -> &str {
        &self.tags[usize::from(self.partition(member))]
    }

    /// The partition of a pair, a room or a user.
    pub fn partition(&self, member: &str) -> u16 {
        let partition = PARTITION_HASH.checksum(member.as_bytes()) % u32::from(PARTITIONS);
        u16::try_from(partition).unwrap_or_default()
    }
}

/// The slot of a key or a channel in a Redis Cluster: that of the text between the first braces, if there is
/// any.
pub(super) fn slot_of(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty());
    SLOT_HASH.checksum(hashed.unwrap_or(key).as_bytes()) % SLOTS
}

/// Whether all keys are in one slot of a cluster.
pub(super) fn have_one_slot(keys: &[String]) -> bool {
    keys.windows(2)
        .all(|two| slot_of(&two[0]) == slot_of(&two[1]))
}

// `concat` allocates once, unlike `format!`; every request names several keys.
fn key(tag: &str, kind: &str, name: &str) -> String {
    ["dm:{", tag, "}:", kind, ":", name].concat()
}

/// The key of a send in a conversation, whose keys begin with `name`.
fn idempotency(name: String, key: Option<(&UserId, &IdempotencyKey)>) -> String {
    match key {
        Some((sender, key)) => [&name, ",", sender.as_str(), ",", key.as_str()].concat(),
        None => name,
    }
}

/// A key in the slot of `dm:subscriptions`.
fn of_subscription(kind: &str, name: &str) -> String {
    key("dm:subscriptions", kind, name)
}

fn schedule(tag: &str) -> String {
    ["dm:{", tag, "}:schedule"].concat()
}

fn outbox(tag: &str) -> String {
    ["dm:{", tag, "}:outbox"].concat()
}

fn feed(tag: &str) -> String {
    ["dm:{", tag, "}:feed"].concat()
}

fn badges(tag: &str) -> String {
    ["dm:{", tag, "}:badges"].concat()
}

fn badge_subscriptions(tag: &str) -> String {
    ["dm:{", tag, "}:badge_subscriptions"].concat()
}

fn erased(tag: &str) -> String {
    ["dm:{", tag, "}:erased"].concat()
}

fn long(tag: &str) -> String {
    ["dm:{", tag, "}:long"].concat()
}

fn garbage(tag: &str) -> String {
    ["dm:{", tag, "}:garbage"].concat()
}

fn leases(tag: &str) -> String {
    ["dm:{", tag, "}:leases"].concat()
}
