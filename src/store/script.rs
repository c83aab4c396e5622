//! The scripts, compiled in.

use std::sync::LazyLock;

use redis::Cmd;

use super::compose;
use super::compose::Parts;

/// A Lua script of the folder `lua`, and what it is composed to.
pub struct Script {
    /// Its file name without `.lua`, which is also the name of the store's method that runs it.
    pub name: &'static str,
    /// The file as it is.
    pub file: &'static str,
    /// What runs: the file alone, or, if it changes a conversation, with what every change entails.
    pub free: Text,
    /// The same, in one round trip with the charge for it.
    pub charged: Text,
}

/// What it would mean to run a script twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetrySafety {
    /// The same as once: the script only reads, or knows the request by an idempotency key.
    Harmless,
    /// A second message.
    Never,
}

/// The text of a script and the digest that Redis knows it by.
pub struct Text {
    /// The text.
    pub source: LazyLock<String>,
    sha: LazyLock<String>,
}

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../lua/", $name, ".lua"))
    };
}

macro_rules! scripts {
    ($($constant:ident $name:literal $compose:expr;)*) => {
        $(pub(super) static $constant: Script = Script {
            name: $name,
            file: file!($name),
            free: Text {
                source: LazyLock::new(|| $compose(file!($name))),
                sha: LazyLock::new(|| sha1(&$constant.free.source)),
            },
            charged: Text {
                source: LazyLock::new(|| compose::charged(CHARGE, &$constant.free.source)),
                sha: LazyLock::new(|| sha1(&$constant.charged.source)),
            },
        };)*

        /// Every script that is called. [`PARTS`] has those that are only composed into others.
        pub static SCRIPTS: &[&Script] = &[$(&$constant,)*];
    };
}

scripts! {
    ANNOUNCE_TYPING     "announce_typing"     alone;
    CHARGE_RATE         "charge_rate"         alone;
    CHECK_READY         "check_ready"         alone;
    CLEAR_CONVERSATION  "clear_conversation"  change;
    COUNT_UNREAD        "count_unread"        alone;
    DELETE_MESSAGE      "delete_message"      change;
    ERASE_MESSAGES      "erase_messages"      change;
    EXPORT_MESSAGES     "export_messages"     alone;
    FIND_LAPSED         "find_lapsed"         alone;
    FLAG_CONVERSATION   "flag_conversation"   change;
    FORGET_CONVERSATION "forget_conversation" alone;
    IMPORT_MESSAGES     "import_messages"     change;
    ISSUE_TICKET        "issue_ticket"        alone;
    LEAVE_PRESENCE      "leave_presence"      alone;
    LIST_CONVERSATIONS  "list_conversations"  alone;
    MARK_DELIVERED      "mark_delivered"      change;
    MARK_READ           "mark_read"           change;
    MARK_UNREAD         "mark_unread"         change;
    OPEN_STORE          "open_store"          alone;
    OPEN_STREAM         "open_stream"         alone;
    READ_CONVERSATION   "read_conversation"   change;
    READ_EVENTS         "read_events"         alone;
    READ_LAST_MESSAGES  "read_last_messages"  alone;
    READ_MESSAGE        "read_message"        alone;
    READ_PRESENCE       "read_presence"       alone;
    REDEEM_TICKET       "redeem_ticket"       alone;
    RENEW_PRESENCE      "renew_presence"      alone;
    REPLACE_MESSAGE     "replace_message"     change;
    SCAN_CONVERSATIONS  "scan_conversations"  alone;
    SEND_MESSAGE        "send_message"        change;
    TRIM_CONVERSATION   "trim_conversation"   change;
}

/// The files that are composed into others, by name.
pub static PARTS: &[(&str, &str)] = &[
    ("count_messages", file!("count_messages")),
    ("file_conversation", file!("file_conversation")),
    ("stamp_conversation", file!("stamp_conversation")),
];

const CHARGE: &str = file!("charge_rate");

fn alone(file: &str) -> String {
    file.to_owned()
}

fn change(file: &str) -> String {
    let parts = Parts {
        count_messages: file!("count_messages"),
        trim_conversation: file!("trim_conversation"),
        stamp_conversation: file!("stamp_conversation"),
        file_conversation: file!("file_conversation"),
    };
    compose::change(&parts, file)
}

fn sha1(source: &str) -> String {
    redis::Script::new(source).get_hash().to_owned()
}
impl Script {
    /// Whether Redis lets it write nothing. Then its outcome is never unknown.
    pub(super) fn only_reads(&self) -> bool {
        self.file.starts_with("#!lua flags=no-writes\n")
    }

    /// What it means to run it twice, as far as the script alone tells.
    pub(super) fn repeat(&self) -> RetrySafety {
        if self.only_reads() {
            RetrySafety::Harmless
        } else {
            RetrySafety::Never
        }
    }
}

impl Text {
    /// The call by digest: what is sent as long as Redis knows the script.
    pub(super) fn evalsha(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.sha, keys, args)
    }

    /// The call by text: what is sent when Redis has forgotten it. One round trip, and unlike
    /// `SCRIPT LOAD` it works when memory is full.
    pub(super) fn eval(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVAL", &self.source, keys, args)
    }
}

fn call(command: &str, script: &str, keys: &[String], args: &[&[u8]]) -> Cmd {
    let lengths = keys
        .iter()
        .map(String::len)
        .chain(args.iter().map(|arg| arg.len()));
    // Room for everything at once; 32 bytes are for the name and the number of keys.
    let bytes = 32 + script.len() + lengths.sum::<usize>();
    let mut cmd = Cmd::with_capacity(3 + keys.len() + args.len(), bytes);
    cmd.arg(command).arg(script);
    cmd.arg(keys.len()).arg(keys).arg(args);
    cmd
}
