//! What each script that writes is run on while its slot moves. Keys have few elements, so that those that a script
//! removes are the last ones and the key is gone while the script runs.

/// A script, and what it is run on.
pub struct Case {
    pub script: &'static str,
    /// Creates all keys but those that the case is about.
    pub fill: &'static [Step],
    /// Further steps.
    pub setup: &'static [Step],
    pub args: &'static [&'static str],
    /// Whether it changes a value.
    pub changes: bool,
}

/// A script with its arguments, or a command of Redis.
pub type Step = &'static [&'static str];

const fn case(script: &'static str, setup: &'static [Step], args: &'static [&'static str]) -> Case {
    Case {
        script,
        fill: PAIR,
        setup,
        args,
        changes: true,
    }
}

const EXPIRING: &str = r#""from":"a","expires_at":"2096-01-31T12:00:00.000Z","to":"b","id":"one","sent_at":"2026-01-31T12:00:00.000Z","body":"hi"}"#;
const ANSWER: &str =
    r#""from":"b","to":"a","id":"two","sent_at":"2026-01-31T12:00:01.000Z","body":"hi"}"#;
const STORED: &str =
    r#"{"seq":2,"from":"b","to":"a","id":"two","sent_at":"2026-01-31T12:00:01.000Z","body":"hi"}"#;
const EDITED: &str =
    r#"{"seq":2,"from":"b","to":"a","id":"two","sent_at":"2026-01-31T12:00:01.000Z","body":"ho"}"#;
/// The SHA-1 of the first message as it is stored.
const FIRST_DIGEST: &str = "1610bd7b4670043625271530c68ef8b1f7b4c798";
/// The first message as a segment, written by the first user.
const FIRST_SEGMENT: &str = "1|1||b1|\u{1}";
pub const LATER: &str = "2026-01-31T13:00:00.000Z";
pub const EVENTUALLY: &str = "9999999999999";
pub const LAST_VERSION: &str = "9999999999999999";
const FIRST: &str = "1700000000000001";
const SECOND: &str = "1700000000000002";

/// Creates a conversation of a and b, and the inbox of one of them.
const PAIR: &[Step] = &[
    &["HSET", "@imported", "digest", "digest"],
    &["ZADD", "@garbage", EVENTUALLY, "other"],
    &["ZADD", "@long", EVENTUALLY, "other"],
    &[
        "send_message",
        "a",
        "b",
        "",
        EXPIRING,
        "",
        "sent",
        "",
        "",
        EVENTUALLY,
    ],
    &["send_message", "b", "a", "", ANSWER],
    &[
        "update_conversation",
        "a",
        "b",
        "",
        "",
        "1",
        r#"{"k":1}"#,
        "*",
        "100",
    ],
    &["open_stream", "60"],
    &[
        "update_inbox",
        "b",
        FIRST,
        "0",
        FIRST,
        "1|00000|2|0|0|0",
        "message.created",
        STORED,
        "0",
        "a",
    ],
    &["renew_presence", "a", "p1", "60", "60"],
    &["issue_ticket", "a,", "60"],
    &["charge_rate", "100000000", "5"],
    &["SET", "@forgotten", "1000000000000000"],
    &["ZADD", "@pinning", "9999999999", "b,earlier"],
    &["open_feed", "group1", "end", "1"],
    &["XGROUP", "CREATE", "@badges", "group1", "0", "MKSTREAM"],
];

/// The outbox holds another pair only.
const CONFIRMED: [Step; 2] = [&["DEL", "@outbox"], &["ZADD", "@outbox", "1", "x,y"]];
/// The schedule is that of a mute.
const ONLY_A_MUTE: [Step; 2] = [
    &["DEL", "@schedule"],
    &["ZADD", "@schedule", "1", "mute,a,b"],
];

/// At least one for each script.
pub const CASES: &[Case] = &[
    case("charge_rate", &[], &["100000000", "5"]),
    case("open_store", &[], &["3,256"]),
    case("clear_conversation", &[], &["a", "b", ""]),
    case(
        "end_mute",
        &[
            ONLY_A_MUTE[0],
            &["flag_conversation", "a", "b", "", "muted", "1", "1"],
        ],
        &["a", "b"],
    ),
    case(
        "flag_conversation",
        &[
            ONLY_A_MUTE[0],
            &["flag_conversation", "a", "b", "", "muted", "1", EVENTUALLY],
        ],
        &["a", "b", "", "muted", "0", "0"],
    ),
    case(
        "forget_conversation",
        &[ONLY_A_MUTE[0], ONLY_A_MUTE[1], CONFIRMED[0], CONFIRMED[1]],
        &["a", "b", "", "2", "aa", "0"],
    ),
    // The second of both users, so that nothing stays.
    case(
        "forget_conversation",
        &[
            CONFIRMED[0],
            CONFIRMED[1],
            &["forget_conversation", "b", "a", "", "2", "aa", "0"],
            ONLY_A_MUTE[0],
            ONLY_A_MUTE[1],
            CONFIRMED[0],
            CONFIRMED[1],
        ],
        &["a", "b", "", "2", "aa", "0"],
    ),
    case("mark_delivered", &[], &["b", "a", "", "1"]),
    case("mark_read", &[], &["b", "a", "", "1", "0"]),
    case(
        "mark_unread",
        &[&["mark_read", "b", "a", "", "1", "0"]],
        &["b", "a", "", "1"],
    ),
    case(
        "read_conversation",
        &[],
        &["b", "a", "", "50", "newest", "", "0", "500", "458752"],
    ),
    case(
        "trim_conversation",
        &[],
        &["a", "b", "0|9999-01-01T00:00:00.000Z", "100", ""],
    ),
    case(
        "update_conversation",
        &[],
        &["a", "b", "", "", "", "null", "*", "100"],
    ),
    case("announce_typing", &[], &["b", "", "{}"]),
    case("issue_ticket", &[], &["b,", "60"]),
    case(
        "open_stream",
        &[&["HSET", "@conversations", ",totals", "1|1|1|0|1|0"]],
        &["60"],
    ),
    case("redeem_ticket", &[], &[]),
    case("drop_events", &[], &[]),
    case("forget_row", &[], &["a", "b", LAST_VERSION]),
    case("forget_user", &[], &["a"]),
    case("forget_user", &[&["HDEL", "@conversations", "b"]], &["a"]),
    case(
        "update_inbox",
        &[],
        &[
            "b",
            SECOND,
            FIRST,
            SECOND,
            "2|00000|3|0|0|0",
            "message.created",
            STORED,
            "1",
            "a",
        ],
    ),
    // The inbox no longer lists the conversation.
    case(
        "update_inbox",
        &[],
        &[
            "b",
            SECOND,
            FIRST,
            "0",
            "0|00000|2|2|0|0",
            "conversation.changed",
            "",
            "0",
            "a",
        ],
    ),
    case("delete_message", &[], &["a", "b", "", "1", LATER, "", ""]),
    case("erase_messages", &[], &["a", "b", "", "1", "2", LATER]),
    case("expire_message", &[], &["a", "b", "1", "one", ""]),
    case(
        "import_messages",
        &[
            &["DEL", "@messages"],
            &["DEL", "@meta"],
            &[
                "import_messages",
                "a",
                "b",
                "",
                "60",
                "i1",
                "d1",
                "",
                "",
                "1",
                "",
                ANSWER,
                "",
            ],
        ],
        &[
            "a", "b", "", "60", "i2", "d2", "", "", "2", EVENTUALLY, EXPIRING, "",
        ],
    ),
    case(
        "replace_message",
        &[],
        &["b", "a", "", "2", STORED, EDITED, "0", ""],
    ),
    case(
        "send_message",
        &[],
        &["a", "b", "1|", EXPIRING, "", "", "", "", EVENTUALLY],
    ),
    case(
        "drop_segments",
        &[
            &["LTRIM", "@messages", "0", "0"],
            &[
                "HSET",
                "@meta",
                "archive",
                "1|1|0|",
                "segment:1",
                FIRST_SEGMENT,
            ],
        ],
        &["aa", "0", "10"],
    ),
    case(
        "erase_segment",
        &[
            &["LTRIM", "@messages", "0", "0"],
            &[
                "HSET",
                "@meta",
                "archive",
                "1|1|1|",
                "segment:1",
                FIRST_SEGMENT,
            ],
            &["ZADD", "@garbage", EVENTUALLY, "aa/1-b2"],
        ],
        &["a", "b", "", "aa|0|b1|b2|9999999999999|", "1", "1"],
    ),
    case("forget_objects", &[], &["other"]),
    case("note_long_conversation", &[], &["a,b", "1"]),
    case("note_object", &[], &["object", EVENTUALLY]),
    case(
        "seal_segment",
        &[&["ZADD", "@garbage", EVENTUALLY, "aa/1-b1"]],
        // The version is another one, so the digest is compared.
        &[
            "aa",
            "b1",
            EVENTUALLY,
            "1",
            "1",
            "1",
            "2026-01-31T12:00:00.000Z",
            "\u{1}",
            FIRST_DIGEST,
        ],
    ),
    // The conversation is not long.
    case(
        "take_segment",
        &[&["ZADD", "@long", EVENTUALLY, "a,b"]],
        &["a,b", "1000", "500", "0", "100", "458752"],
    ),
    case("confirm_updates", &[], &["a,b", LAST_VERSION]),
    Case {
        changes: false,
        ..case("repeat_updates", &[], &["a", "b"])
    },
    case("touch_conversation", &[], &["a", "b"]),
    case("reserve_pin", &[], &["b", "request", "100"]),
    case(
        "release_pin",
        &[
            &["DEL", "@pinning"],
            &["ZADD", "@pinning", "9999999999", "b,request"],
        ],
        &["b", "request", "0"],
    ),
    case("leave_presence", &[], &["a", "p1", "60"]),
    case("renew_presence", &[], &["a", "p2", "60", "60"]),
    case("claim_due", &ONLY_A_MUTE, &["60000", "10"]),
];
