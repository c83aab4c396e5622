//! What each script of subscriptions that writes is run on while its slot moves.

use super::moving_cases::{Case, Step};

const fn on_feed(
    script: &'static str,
    setup: &'static [Step],
    args: &'static [&'static str],
) -> Case {
    Case {
        script,
        fill: FEED,
        setup,
        args,
        changes: true,
    }
}

const fn taking(part: &'static str) -> [&'static str; 9] {
    let kinds = ",message.created,";
    ["group1", "c", "10", "1000", "30000", kinds, "", "0", part]
}

const fn settling(attempt: &'static str) -> [&'static str; 8] {
    ["group1", "c", "1-1", attempt, "500", "5000", "-1", "8"]
}

const fn event(id: &'static str) -> [&'static str; 5] {
    ["XADD", "@feed", id, "message.created", "{}"]
}

/// Creates a subscription, and the feed of a partition, of which it was given two events.
const FEED: &[Step] = &[
    &["open_feed", "group1", "end", "2"],
    &event("1-1"),
    &event("2-1"),
    &[
        "take_events",
        "group1",
        "c",
        "10",
        "1000",
        "30000",
        ",message.created,",
        "",
        "0",
        "",
    ],
    &["HSET", "@subscriptions", "s", "1|1|open|{}"],
    &["HSET", "@webhook", "secret", "whsec_1"],
    &[
        "file_dead_letter",
        "1-1-1",
        "message.created|8|500|{}",
        "10",
        "a",
    ],
    &["ZADD", "@erased", "1", "z"],
];

const SECOND_GROUP: Step = &["open_feed", "group2", "end", "1"];

/// At least one for each script.
pub const FEED_CASES: &[Case] = &[
    on_feed("ack_events", &[], &["group1", "c", "2-1"]),
    on_feed("close_feed", &[], &["group1", "2"]),
    on_feed("close_feed", &[SECOND_GROUP], &["group1", "2"]),
    on_feed("delete_subscription", &[], &["s"]),
    // The only dead letter.
    on_feed(
        "erase_dead_letters",
        &[&["HSET", "@dead", "1-1-1", r#"room.left|8||{"user":"a"}"#]],
        &["a", "0"],
    ),
    on_feed(
        "file_dead_letter",
        &[],
        &["1-2-1", "message.created|8|500|{}", "10", "a"],
    ),
    on_feed("lease_webhook", &[], &["s", "1", "{}", "p", "0", "closed"]),
    on_feed("note_erasure", &[], &["a", "100"]),
    on_feed("open_feed", &[], &["group2", "start", "2"]),
    on_feed("retry_dead_letters", &[], &["10"]),
    on_feed("seek_feed", &[], &["group1", "0-0", "0-0", "0", "100"]),
    on_feed(
        "set_subscription",
        &[],
        &["t", "2", "{}", "10", "0", "", "whsec_2", "1"],
    ),
    on_feed(
        "set_subscription",
        &[],
        &["s", "2", "{}", "10", "0", "whsec_3", "whsec_2", "0"],
    ),
    on_feed(
        "set_subscription",
        &[],
        &["s", "2", "{}", "10", "0", "", "", "0"],
    ),
    on_feed(
        "settle_dead_letter",
        &[],
        &["1-1-1", "message.created|9|500|{}"],
    ),
    // The only dead letter.
    on_feed("settle_dead_letter", &[], &["1-1-1", ""]),
    on_feed("settle_delivery", &[], &settling("1")),
    on_feed("settle_delivery", &[], &settling("0")),
    on_feed(
        "settle_subscription",
        &[&["HSET", "@subscriptions", "s", "1|2|closing|{}"]],
        &["s", "1|2|closing|{}", "1"],
    ),
    on_feed("stop_webhook", &[], &["s", "1|1|open|{}"]),
    on_feed("take_events", &[], &taking("")),
    on_feed("take_events", &[&event("3-1")], &taking("new")),
    // An event is dropped unread.
    on_feed("trim_feed", &[], &["2-1", "2-1", "100", "group1", "0"]),
    // No group has a subscription.
    on_feed("trim_feed", &[], &["2-1", "0-1", "100"]),
    on_feed(
        "trim_feed",
        &[
            SECOND_GROUP,
            &["HSET", "@readers", "group2", "0|c"],
            &["open_feed", "group3", "end", "1"],
        ],
        &["2-1", "0-1", "100", "group3", "0"],
    ),
];
