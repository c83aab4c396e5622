//! The Lua scripts, compiled into the binary.

use std::sync::LazyLock;

use redis::Cmd;

use super::function_library::FUNCTION_LIBRARY;

/// A Lua script of the folder `lua`.
pub struct Script {
    /// The file name without `.lua`, which is also the name of the store's method.
    pub name: &'static str,
    /// The file below `lua`, without `.lua`.
    pub path: &'static str,
    /// Whether running it twice is safe.
    pub retry: RetrySafety,
    /// The text of the file.
    pub file: &'static str,
    /// The file with its includes pasted in, for `EVAL`.
    pub source: LazyLock<String>,
    sha: LazyLock<String>,
    /// The name of the function, for `FCALL`.
    function: LazyLock<String>,
}

/// Whether a script may run twice for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrySafety {
    /// Yes: the script writes nothing but the rate limit.
    ReadsOnly,
    /// Yes: the script recognizes the second run, for example by an idempotency key.
    Harmless,
    /// No: a second run would change data again.
    Never,
}

macro_rules! file {
    ($path:expr) => {
        include_str!(concat!("../../lua/", $path, ".lua"))
    };
}

macro_rules! scripts {
    ($($constant:ident $folder:literal $name:literal $retry:ident;)*) => {
        $(pub(super) static $constant: Script = Script {
            name: $name,
            path: concat!($folder, "/", $name),
            retry: RetrySafety::$retry,
            file: file!(concat!($folder, "/", $name)),
            source: LazyLock::new(|| paste($constant.file, &mut Vec::new())),
            sha: LazyLock::new(|| sha1(&$constant.source)),
            function: LazyLock::new(|| FUNCTION_LIBRARY.function(&$constant)),
        };)*

        /// All scripts.
        pub static SCRIPTS: &[&Script] = &[$(&$constant,)*];
    };
}

scripts! {
    CHARGE_RATE         "admin"         "charge_rate"         Never;
    CHECK_PERMISSIONS   "admin"         "check_permissions"   ReadsOnly;
    CHECK_READY         "admin"         "check_ready"         ReadsOnly;
    OPEN_STORE          "admin"         "open_store"          Harmless;
    COUNT_LONG_CONVERSATIONS "archive" "count_long_conversations" ReadsOnly;
    DROP_SEGMENTS          "archive" "drop_segments"          Harmless;
    FIND_SEGMENT           "archive" "find_segment"           ReadsOnly;
    FORGET_OBJECTS         "archive" "forget_objects"         Harmless;
    LIST_GARBAGE           "archive" "list_garbage"           ReadsOnly;
    LIST_SEGMENTS          "archive" "list_segments"          ReadsOnly;
    NOTE_LONG_CONVERSATION "archive" "note_long_conversation" Harmless;
    NOTE_OBJECT            "archive" "note_object"            Never;
    SEAL_SEGMENT           "archive" "seal_segment"           Harmless;
    TAKE_SEGMENT           "archive" "take_segment"           Harmless;
    CLEAR_CONVERSATION  "conversations" "clear_conversation"  Never;
    END_MUTE            "conversations" "end_mute"            Never;
    FLAG_CONVERSATION   "conversations" "flag_conversation"   Never;
    FORGET_CONVERSATION "conversations" "forget_conversation" Never;
    MARK_DELIVERED      "conversations" "mark_delivered"      Never;
    MARK_READ           "conversations" "mark_read"           Never;
    MARK_UNREAD         "conversations" "mark_unread"         Never;
    READ_CONVERSATION   "conversations" "read_conversation"   Never;
    READ_METADATA       "conversations" "read_metadata"       ReadsOnly;
    TRIM_CONVERSATION   "conversations" "trim_conversation"   Never;
    UPDATE_CONVERSATION "conversations" "update_conversation" Never;
    ANNOUNCE_TYPING     "events"        "announce_typing"     Never;
    FIND_TICKET         "events"        "find_ticket"         ReadsOnly;
    ISSUE_TICKET        "events"        "issue_ticket"        Never;
    OPEN_STREAM         "events"        "open_stream"         Never;
    READ_EVENTS         "events"        "read_events"         ReadsOnly;
    REDEEM_TICKET       "events"        "redeem_ticket"       Never;
    COUNT_UNREAD        "inbox"         "count_unread"        ReadsOnly;
    DROP_EVENTS         "inbox"         "drop_events"         Harmless;
    FIND_UNREAD         "inbox"         "find_unread"         ReadsOnly;
    FORGET_ROW          "inbox"         "forget_row"          Harmless;
    FORGET_USER         "inbox"         "forget_user"         Never;
    LIST_BLOCKS         "inbox"         "list_blocks"         ReadsOnly;
    LIST_CONVERSATIONS  "inbox"         "list_conversations"  ReadsOnly;
    RELEASE_PIN         "inbox"         "release_pin"         Harmless;
    RESERVE_PIN         "inbox"         "reserve_pin"         Harmless;
    SCAN_CONVERSATIONS  "inbox"         "scan_conversations"  ReadsOnly;
    UPDATE_INBOX        "inbox"         "update_inbox"        Harmless;
    DELETE_MESSAGE      "messages"      "delete_message"      Never;
    ERASE_MESSAGES      "messages"      "erase_messages"      Never;
    ERASE_SEGMENT       "messages"      "erase_segment"       Never;
    EXPIRE_MESSAGE      "messages"      "expire_message"      Never;
    EXPORT_MESSAGES     "messages"      "export_messages"     ReadsOnly;
    IMPORT_MESSAGES     "messages"      "import_messages"     Never;
    READ_LAST_MESSAGE   "messages"      "read_last_message"   ReadsOnly;
    READ_LAST_MESSAGES  "messages"      "read_last_messages"  ReadsOnly;
    READ_MESSAGE        "messages"      "read_message"        ReadsOnly;
    REPLACE_MESSAGE     "messages"      "replace_message"     Never;
    SEND_MESSAGE        "messages"      "send_message"        Never;
    CONFIRM_UPDATES     "outbox"        "confirm_updates"     Harmless;
    FIND_UNCONFIRMED    "outbox"        "find_unconfirmed"    ReadsOnly;
    FIND_UNCONFIRMED_OF_USER "outbox" "find_unconfirmed_of_user" ReadsOnly;
    REPEAT_UPDATES      "outbox"        "repeat_updates"      Harmless;
    TOUCH_CONVERSATION  "outbox"        "touch_conversation"  Harmless;
    FIND_EXPIRED_PRESENCES "presence" "find_expired_presences" ReadsOnly;
    LEAVE_PRESENCE      "presence"      "leave_presence"      Never;
    READ_PRESENCE       "presence"      "read_presence"       ReadsOnly;
    RENEW_PRESENCE      "presence"      "renew_presence"      Never;
    ANNOUNCE_ROOM_TYPING     "rooms" "announce_room_typing"     Never;
    CLEAR_ROOM_CONVERSATION  "rooms" "clear_room_conversation"  Never;
    DELETE_ROOM              "rooms" "delete_room"              Never;
    DELETE_ROOM_MESSAGE      "rooms" "delete_room_message"      Never;
    DROP_ROOM_EVENTS         "rooms" "drop_room_events"         Harmless;
    END_ROOM_MUTE            "rooms" "end_room_mute"            Never;
    ERASE_ROOM               "rooms" "erase_room"               Harmless;
    ERASE_ROOM_MESSAGES      "rooms" "erase_room_messages"      Never;
    ERASE_ROOM_SEGMENT       "rooms" "erase_room_segment"       Never;
    EXPIRE_ROOM_MESSAGE      "rooms" "expire_room_message"      Never;
    EXPORT_ROOM_MESSAGES     "rooms" "export_room_messages"     ReadsOnly;
    FILE_ROOM_EVENTS         "rooms" "file_room_events"         Harmless;
    FLAG_ROOM_CONVERSATION   "rooms" "flag_room_conversation"   Never;
    FORGET_ROOM_MEMBER       "rooms" "forget_room_member"       Never;
    FORGET_ROOM_ROW          "rooms" "forget_room_row"          Harmless;
    LIST_MEMBERS             "rooms" "list_members"             ReadsOnly;
    LIST_RESERVED_ROOMS      "rooms" "list_reserved_rooms"      ReadsOnly;
    MARK_ROOM_READ           "rooms" "mark_room_read"           Never;
    MARK_ROOM_UNREAD         "rooms" "mark_room_unread"         Never;
    READ_ROOM                "rooms" "read_room"                ReadsOnly;
    READ_ROOM_CONVERSATION   "rooms" "read_room_conversation"   Never;
    READ_ROOM_MESSAGE        "rooms" "read_room_message"        ReadsOnly;
    READ_ROOM_SUMMARIES      "rooms" "read_room_summaries"      ReadsOnly;
    RELEASE_ROOM             "rooms" "release_room"             Harmless;
    REMOVE_MEMBER            "rooms" "remove_member"            Never;
    REPEAT_ROOM_UPDATE       "rooms" "repeat_room_update"       ReadsOnly;
    REPLACE_ROOM_MESSAGE     "rooms" "replace_room_message"     Never;
    RESERVE_ROOM             "rooms" "reserve_room"             Harmless;
    SEND_ROOM_MESSAGE        "rooms" "send_room_message"        Never;
    SET_MEMBER               "rooms" "set_member"               Never;
    SET_ROOM                 "rooms" "set_room"                 Never;
    TAKE_ROOM_EVENTS         "rooms" "take_room_events"         Harmless;
    TOUCH_ROOM               "rooms" "touch_room"               Harmless;
    TRIM_ROOM                "rooms" "trim_room"                Never;
    UPDATE_ROOM_CONVERSATION "rooms" "update_room_conversation" Never;
    WATCH_ROOM               "rooms" "watch_room"               ReadsOnly;
    CLAIM_DUE           "schedule"      "claim_due"           Never;
    ACK_EVENTS          "subscriptions" "ack_events"          Harmless;
    CLOSE_FEED          "subscriptions" "close_feed"          Harmless;
    DELETE_SUBSCRIPTION "subscriptions" "delete_subscription" Never;
    DESCRIBE_FEED       "subscriptions" "describe_feed"       ReadsOnly;
    DESCRIBE_WEBHOOK    "subscriptions" "describe_webhook"    ReadsOnly;
    ERASE_DEAD_LETTERS  "subscriptions" "erase_dead_letters"  Harmless;
    FILE_DEAD_LETTER    "subscriptions" "file_dead_letter"    Harmless;
    LEASE_WEBHOOK       "subscriptions" "lease_webhook"       Harmless;
    LIST_DEAD_LETTERS   "subscriptions" "list_dead_letters"   ReadsOnly;
    LIST_SUBSCRIPTIONS  "subscriptions" "list_subscriptions"  ReadsOnly;
    NOTE_ERASURE        "subscriptions" "note_erasure"        Harmless;
    OPEN_FEED           "subscriptions" "open_feed"           Harmless;
    READ_ATTEMPTS       "subscriptions" "read_attempts"       ReadsOnly;
    READ_SUBSCRIPTION   "subscriptions" "read_subscription"   ReadsOnly;
    RETRY_DEAD_LETTERS  "subscriptions" "retry_dead_letters"  Harmless;
    SEEK_FEED           "subscriptions" "seek_feed"           Harmless;
    SET_SUBSCRIPTION    "subscriptions" "set_subscription"    Never;
    SETTLE_DEAD_LETTER  "subscriptions" "settle_dead_letter"  Harmless;
    SETTLE_DELIVERY     "subscriptions" "settle_delivery"     Harmless;
    SETTLE_SUBSCRIPTION "subscriptions" "settle_subscription" Harmless;
    STOP_WEBHOOK        "subscriptions" "stop_webhook"        Harmless;
    TAKE_DEAD_LETTERS   "subscriptions" "take_dead_letters"   ReadsOnly;
    TAKE_EVENTS         "subscriptions" "take_events"         Harmless;
    TRIM_FEED           "subscriptions" "trim_feed"           Never;
}

macro_rules! library {
    ($($path:literal)*) => {
        /// The files that scripts include, by name.
        pub static LIBRARY: &[(&str, &str)] = &[$(($path, file!($path)),)*];
    };
}

library! {
    "lib/archive"
    "lib/archive_change"
    "lib/badges"
    "lib/batch"
    "lib/charged"
    "lib/clock"
    "lib/commit"
    "lib/commit_member"
    "lib/commit_room"
    "lib/commit_state"
    "lib/conversation"
    "lib/count"
    "lib/dead_letter"
    "lib/erase_part"
    "lib/erasure"
    "lib/event"
    "lib/feed"
    "lib/flags"
    "lib/idempotency"
    "lib/inbox"
    "lib/last_message"
    "lib/lease"
    "lib/message"
    "lib/metadata"
    "lib/order"
    "lib/outbox"
    "lib/page"
    "lib/pending"
    "lib/precondition"
    "lib/presence"
    "lib/rate"
    "lib/read_range"
    "lib/reader"
    "lib/receipt"
    "lib/retention"
    "lib/room"
    "lib/room_access"
    "lib/room_admin"
    "lib/room_event"
    "lib/room_inbox"
    "lib/room_row"
    "lib/room_view"
    "lib/row"
    "lib/schedule"
    "lib/sent_since"
    "lib/settings"
    "lib/state"
    "lib/stream"
    "lib/stream_id"
    "lib/subscription"
    "lib/tombstone"
    "lib/version"
    "lib/writers"
}

/// The line that includes a library file.
pub(super) fn include_line(name: &str) -> String {
    format!("--- @include \"{name}\"\n")
}

/// The library file that a line of Lua includes, with its name.
pub fn included(line: &str) -> Option<&'static (&'static str, &'static str)> {
    let name = line.strip_prefix("--- @include \"")?.strip_suffix('"')?;
    LIBRARY.iter().find(|(path, _)| *path == name)
}

/// Replaces the include lines of a file by the library files, each pasted once, where it is first
/// included.
pub(super) fn paste(file: &str, pasted: &mut Vec<&'static str>) -> String {
    let mut source = String::new();
    for line in file.lines() {
        match included(line) {
            Some((name, _)) if pasted.contains(name) => {}
            Some((name, library)) => {
                pasted.push(name);
                source.push_str(&paste(library, pasted));
            }
            None => {
                source.push_str(line);
                source.push('\n');
            }
        }
    }
    source
}

pub(super) fn sha1(text: &str) -> String {
    redis::Script::new(text).get_hash().to_owned()
}

impl Script {
    /// The folder below `lua`.
    pub(super) fn folder(&self) -> &'static str {
        self.path.split_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether a failover must not undo what it answers: changes of conversations, but not rate limits,
    /// tickets, presence and the read mark of a page.
    pub(super) fn waits_for_replicas(&self) -> bool {
        let folders = ["messages/", "conversations/", "rooms/"];
        let changes_conversations = folders.iter().any(|folder| self.path.starts_with(folder));
        let others = [
            READ_CONVERSATION.name,
            READ_ROOM_CONVERSATION.name,
            TAKE_ROOM_EVENTS.name,
            FILE_ROOM_EVENTS.name,
        ];
        changes_conversations
            && self.retry != RetrySafety::ReadsOnly
            && !others.contains(&self.name)
    }

    /// The call as a function, for a Redis that has it.
    pub(super) fn fcall(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("FCALL", &self.function, keys, args)
    }

    /// The call by digest, for a Redis that has the text.
    pub(super) fn evalsha(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.sha, keys, args)
    }

    /// The call by text, for a Redis that does not have it. Unlike `FUNCTION LOAD` and `SCRIPT LOAD` it
    /// works when memory is full.
    pub(super) fn eval(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVAL", &self.source, keys, args)
    }
}

fn call(command: &str, script: &str, keys: &[String], args: &[&[u8]]) -> Cmd {
    let lengths = keys
        .iter()
        .map(String::len)
        .chain(args.iter().map(|arg| arg.len()));
    // Allocates once; 32 bytes are for the command and the number of keys.
    let bytes = 32 + script.len() + lengths.sum::<usize>();
    let mut cmd = Cmd::with_capacity(3 + keys.len() + args.len(), bytes);
    cmd.arg(command).arg(script);
    cmd.arg(keys.len()).arg(keys).arg(args);
    cmd
}
