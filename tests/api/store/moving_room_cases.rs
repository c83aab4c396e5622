//! What each script that writes in a room is run on while its slot moves.

use super::moving_cases::{Case, EVENTUALLY, LAST_VERSION, LATER, Step};

const fn in_room(
    script: &'static str,
    setup: &'static [Step],
    args: &'static [&'static str],
) -> Case {
    Case {
        script,
        fill: ROOM,
        setup,
        args,
        changes: true,
    }
}

const EXPIRING: &str = r#""from":"a","expires_at":"2096-01-31T12:00:00.000Z","to":"room:x","id":"one","sent_at":"2026-01-31T12:00:00.000Z","body":"hi"}"#;
const ANSWER: &str =
    r#""from":"a","to":"room:x","id":"two","sent_at":"2026-01-31T12:00:01.000Z","body":"hi"}"#;
const STORED: &str = r#"{"seq":2,"from":"a","to":"room:x","id":"two","sent_at":"2026-01-31T12:00:01.000Z","body":"hi"}"#;
const EDITED: &str = r#"{"seq":2,"from":"a","to":"room:x","id":"two","sent_at":"2026-01-31T12:00:01.000Z","body":"ho"}"#;
const MEMBER: &str = "member|1769860800000000|1769860800000|0|0|0|00000|0|0";

/// Creates a room of a and b, and the inbox of one of them.
const ROOM: &[Step] = &[
    &["HSET", "@meta", "state", "0|1769860800000000|0|0|0"],
    &[
        "HSET",
        "@meta",
        "access",
        "invited|all",
        "created",
        "1769860800000000",
    ],
    &[
        "HSET",
        "@meta",
        "filed",
        "1769860800000000",
        "profile",
        "{}",
        "member_count",
        "2",
    ],
    &["HSET", "@members", "a", MEMBER, "b", MEMBER],
    &[
        "send_room_message",
        "room:x",
        "a",
        "",
        "p1",
        EXPIRING,
        "",
        "sent",
        EVENTUALLY,
    ],
    &[
        "send_room_message",
        "room:x",
        "a",
        "",
        "p1",
        ANSWER,
        "",
        "",
        "",
    ],
    &[
        "update_room_conversation",
        "room:x",
        "a",
        "",
        "p1",
        "",
        "",
        r#"{"k":1}"#,
        "*",
        "100",
    ],
    &["ZADD", "@garbage", EVENTUALLY, "other"],
    // Without an end.
    &["SET", "@lease", "p1"],
    &["open_stream", "60"],
    &["ZADD", "@inbox", "1", "other"],
    &["open_feed", "group1", "end", "1"],
    &["XGROUP", "CREATE", "@badges", "group1", "0", "MKSTREAM"],
    &["ZADD", "@leases", "1", "b"],
];

const NO_SCHEDULE: Step = &["DEL", "@schedule"];

/// At least one for each script.
pub const ROOM_CASES: &[Case] = &[
    in_room("announce_room_typing", &[], &["room:x", "b", "{}"]),
    in_room("clear_room_conversation", &[], &["room:x", "b", "", "p1"]),
    in_room("delete_room", &[], &["room:x", "", "", "p1"]),
    in_room(
        "delete_room_message",
        &[],
        &["room:x", "a", "", "p1", "1", LATER, "", ""],
    ),
    in_room(
        "drop_room_events",
        &[&["HSET", "@meta", "filed", LAST_VERSION]],
        &[""],
    ),
    in_room(
        "end_room_mute",
        &[
            NO_SCHEDULE,
            &["flag_room_conversation", "room:x", "b", "", "p1", "1", "1"],
        ],
        &["room:x", "b", "", "p1"],
    ),
    in_room(
        "erase_room",
        &[&["HSET", "@meta", "deleted", "1769860800000000"]],
        &["room:x", "aa", "0"],
    ),
    in_room(
        "erase_room_messages",
        &[],
        &["room:x", "a", "", "p1", "1", "2", LATER],
    ),
    in_room(
        "erase_room_segment",
        &[
            &["LTRIM", "@messages", "0", "0"],
            &[
                "HSET",
                "@meta",
                "archive",
                "1|1|1|",
                "segment:1",
                "1|1||b1|",
            ],
            &["ZADD", "@garbage", EVENTUALLY, "aa/1-b2"],
        ],
        &["room:x", "a", "", "p1", "aa|0|b1|b2|9999999999999|", "1"],
    ),
    in_room(
        "expire_room_message",
        &[],
        &["room:x", "a", "", "p1", "1", "one", ""],
    ),
    in_room(
        "file_room_events",
        &[],
        &[
            "room:x",
            "2|1769860800000009|0|0|0",
            "conversation.changed",
            "0",
            "b",
            MEMBER,
        ],
    ),
    in_room(
        "file_room_events",
        &[],
        &[
            "room:x",
            "2|1769860800000009|0|0|0",
            "",
            "1",
            "1769860800000009",
            "message.created",
            STORED,
            "",
            "b",
            MEMBER,
        ],
    ),
    in_room(
        "flag_room_conversation",
        &[
            NO_SCHEDULE,
            &[
                "flag_room_conversation",
                "room:x",
                "b",
                "",
                "p1",
                "1",
                EVENTUALLY,
            ],
        ],
        &["room:x", "b", "", "p1", "0", "0"],
    ),
    in_room(
        "forget_room_member",
        &[
            &["HDEL", "@members", "b"],
            NO_SCHEDULE,
            &[
                "flag_room_conversation",
                "room:x",
                "a",
                "",
                "p1",
                "1",
                EVENTUALLY,
            ],
        ],
        &["room:x", "a", "", "p1"],
    ),
    in_room(
        "forget_room_row",
        &[
            &["DEL", "@conversations"],
            &["HSET", "@conversations", "room:x", "row"],
            &["ZADD", "@rooms", "1", "room:x"],
        ],
        &["room:x", "0"],
    ),
    in_room("mark_room_read", &[], &["room:x", "b", "", "p1", "1"]),
    in_room(
        "mark_room_unread",
        &[&["mark_room_read", "room:x", "b", "", "p1", "2"]],
        &["room:x", "b", "", "p1", "1"],
    ),
    in_room(
        "read_room_conversation",
        &[],
        &[
            "room:x", "b", "", "p1", "50", "newest", "", "0", "500", "458752",
        ],
    ),
    in_room(
        "release_room",
        &[&["ZADD", "@rooms", "1", "room:x"]],
        &["room:x", ""],
    ),
    in_room(
        "remove_member",
        &[&["HDEL", "@members", "a"]],
        &["room:x", "", "", "p1", "b"],
    ),
    in_room(
        "replace_room_message",
        &[],
        &["room:x", "a", "", "p1", "2", STORED, EDITED, ""],
    ),
    // The place of another room is given up.
    in_room(
        "reserve_room",
        &[&["ZADD", "@rooms", "1", "room:y"]],
        &["room:x", "1"],
    ),
    in_room(
        "reserve_room",
        &[&["ZADD", "@rooms", "1", "room:x"]],
        &["room:x", ""],
    ),
    in_room(
        "send_room_message",
        &[],
        &["room:x", "a", "1|", "p1", EXPIRING, "", "", EVENTUALLY, ""],
    ),
    in_room("set_member", &[], &["room:x", "", "", "p1", "c", "", "100"]),
    in_room(
        "set_member",
        &[],
        &["room:x", "", "", "p1", "b", "banned", "100"],
    ),
    in_room(
        "set_room",
        &[],
        &[
            "room:x", "", "", "p1", "open|all", "{}", "1", "0", "100", "b", "admin", "c", "member",
        ],
    ),
    in_room(
        "take_room_events",
        &[],
        &["room:x", "p1", "1769860800000005"],
    ),
    // All events are filed.
    in_room("take_room_events", &[], &["room:x", "p1", LAST_VERSION]),
    in_room("touch_room", &[], &["room:x", "", "", "p1"]),
    in_room(
        "trim_room",
        &[],
        &["room:x", "", "0|9999-01-01T00:00:00.000Z", "p1", "100", ""],
    ),
    in_room(
        "update_room_conversation",
        &[],
        &["room:x", "a", "", "p1", "", "", "null", "*", "100"],
    ),
];
