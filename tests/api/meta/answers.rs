//! Whatever the service accepts, it answers as the contract says. `ApiResponse` and `frame::parse` check
//! the answers against the schemas; these tests provoke them.

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::openapi::contract;
use crate::harness::contract::assert_fits;
use crate::harness::import::ndjson;
use crate::harness::live::device::Device;
use crate::harness::{TestApp, spawn_app};

/// Texts that the contract's pattern of a schema allows, and any other text.
fn texts(schema: &str) -> BoxedStrategy<Value> {
    let pattern = contract()["components"]["schemas"][schema]["pattern"].as_str();
    let pattern = pattern.unwrap_or_else(|| panic!("{schema} has no pattern"));
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    // What may not stand at the beginning of an id has no part in how the rest is generated.
    let pattern = pattern.trim_start_matches("(?!room:)");
    let pattern = pattern.trim_start_matches(r"(?!\.{1,2}$)");
    let allowed = string_regex(pattern).unwrap();
    prop_oneof![9 => allowed, 1 => any::<String>()]
        .prop_map(Value::from)
        .boxed()
}

/// Any JSON value, of every kind that a parser may stumble over.
fn values() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            objects_of(inner),
        ]
    })
    .boxed()
}

fn objects_of(of: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(any::<String>(), of, 0..4)
        .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>()))
}

/// A value of a member: one that is likely to be valid, at times any other, or none.
fn member(name: &'static str, value: impl Strategy<Value = Value> + 'static) -> Member {
    let value = prop_oneof![
        20 => value.prop_map(Some),
        1 => values().prop_map(Some),
        39 => Just(None),
    ];
    value.prop_map(move |value| (name, value)).boxed()
}

type Member = BoxedStrategy<(&'static str, Option<Value>)>;

/// An object with some of these members.
fn object(required: Value, members: Vec<Member>) -> BoxedStrategy<Value> {
    let objects = members.prop_map(move |members| {
        let mut object = required.clone();
        for (name, value) in members {
            if let Some(value) = value {
                object[name] = value;
            }
        }
        object
    });
    objects.boxed()
}

fn whole_numbers() -> BoxedStrategy<Value> {
    prop_oneof![9 => 0..5000u64, 1 => any::<u64>()]
        .prop_map(Value::from)
        .boxed()
}

fn attachments() -> BoxedStrategy<Value> {
    let url = json!({"url": "https://a.example/x"});
    let members = vec![
        member("url", texts("AttachmentUrl")),
        member("mime_type", texts("MimeType")),
        member("name", ".{1,40}".prop_map(Value::from)),
        member("size", whole_numbers()),
        member("width", whole_numbers()),
        member("height", whole_numbers()),
        member("duration_ms", whole_numbers()),
        member("metadata", objects_of(values())),
    ];
    let attachments = prop::collection::vec(object(url, members), 0..3);
    attachments.prop_map(Value::from).boxed()
}

/// The members that new, edited and imported messages have in common.
fn content() -> Vec<Member> {
    vec![
        member("body", ".{0,30}".prop_map(Value::from)),
        member("attachments", attachments()),
        member("metadata", objects_of(values())),
    ]
}

fn messages() -> BoxedStrategy<Value> {
    object(
        json!({"from": "alice", "to": "bob", "body": "Hi"}),
        content(),
    )
}

fn import_lines() -> BoxedStrategy<Value> {
    let required = json!({
        "from": "carol", "to": "dave", "body": "Hi", "sent_at": "2019-01-31T12:00:00Z"
    });
    let time = "(19|20)[0-9]{2}-0[1-9]-[0-2][1-8]T[01][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|[+-][01][0-9]:[0-5][0-9])";
    let time = || time.prop_map(Value::from);
    let emoji = prop_oneof!["👍", "❤️", "🇩🇪", "1️⃣", ".{1,4}"];
    let users = prop::collection::vec("carol|eve", 0..3);
    let reactions =
        prop::collection::btree_map(emoji, users, 0..3).prop_map(|reactions| json!(reactions));
    let mut members = content();
    members.extend([
        // Each line begins a conversation, since an older message cannot follow a newer one.
        ("peer[0-9]{9}")
            .prop_map(|peer| ("to", Some(json!(peer))))
            .boxed(),
        member("sent_at", time()),
        member("edited_at", time()),
        member("deleted_at", time()),
        member("expires_at", time()),
        member("reactions", reactions),
        member(
            "id",
            any::<[u8; 16]>().prop_map(|bytes| json!(uuid::Uuid::from_bytes(bytes))),
        ),
    ]);
    object(required, members)
}

/// Runs a test for many values, and returns how many of them were accepted.
fn accepted(values: &BoxedStrategy<Value>, cases: u32, send: impl Fn(Value) -> u16) -> u32 {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let accepted = Cell::new(0);
    let result = TestRunner::new(config).run(values, |value| {
        let status = send(value);
        prop_assert!(status < 500, "{}", status);
        accepted.set(accepted.get() + u32::from(status < 300));
        Ok(())
    });
    result.unwrap();
    accepted.get()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Reads everything that users can read of a conversation; each answer is checked.
async fn read_everything(app: &TestApp, user: &str, peer: &str) {
    let mut before = String::new();
    loop {
        let page = app
            .page(user, peer, &format!("peek=true&limit=200{before}"))
            .await;
        match page["next_before"].as_u64() {
            Some(seq) => before = format!("&before={seq}"),
            None => break,
        }
    }
    app.inbox(user, "").await;
    let exported = app.get(&format!("/users/{user}/export")).await;
    for line in exported.text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(message) = line.get("message") {
            assert_fits("Message", message);
        }
    }
}

#[test]
fn every_message_that_is_accepted_is_valid_in_every_answer() {
    let (runtime, app) = (runtime(), spawn_app());
    let mut device = runtime.block_on(Device::connect(&app, "bob"));
    let sent = accepted(&messages(), 600, |message| {
        runtime.block_on(app.post(&message)).status
    });
    assert!(sent > 100, "{sent}");
    runtime.block_on(async {
        assert!(device.events_within(Duration::from_secs(1)).await.len() > 100);
        read_everything(&app, "bob", "alice").await;
    });
}

#[test]
fn every_edit_and_setting_that_is_accepted_is_valid_too() {
    let (runtime, app) = (runtime(), spawn_app());
    runtime.block_on(app.send("alice", "bob", "before"));
    let edits = object(json!({}), content());
    let edited = accepted(&edits, 300, |edit| {
        runtime.block_on(app.edit("alice", "bob", 1, &edit)).status
    });
    let settings = vec![
        member("archived", any::<bool>().prop_map(Value::from)),
        member("pinned", any::<bool>().prop_map(Value::from)),
        member("metadata", objects_of(values())),
    ];
    let set = accepted(&object(json!({}), settings), 300, |settings| {
        runtime
            .block_on(app.patch("bob", "alice", &settings))
            .status
    });
    assert!(edited > 30 && set > 30, "{edited}, {set}");
    runtime.block_on(read_everything(&app, "bob", "alice"));
}

#[test]
fn every_imported_message_is_valid_in_every_answer() {
    let (runtime, app) = (runtime(), spawn_app());
    let imported = accepted(&import_lines(), 400, |line| {
        let headers = [("content-type", "application/x-ndjson")];
        let text = ndjson([&line].into_iter());
        let answer = app.call_text("POST", "/messages/batch", &headers, text);
        runtime.block_on(answer).status
    });
    assert!(imported > 50, "{imported}");
    runtime.block_on(read_everything(&app, "carol", "dave"));
}

#[test]
fn every_reaction_that_is_accepted_is_valid() {
    let (runtime, app) = (runtime(), spawn_app());
    runtime.block_on(app.send("alice", "bob", "Hi"));
    let emoji = prop_oneof!["\\PC{1,3}", "[👍❤🇩🇪🏳️‍🌈1️⃣👩‍💻☠]{1,4}"];
    let accepted = accepted(&emoji.prop_map(Value::from).boxed(), 400, |emoji| {
        let emoji: String =
            url::form_urlencoded::byte_serialize(emoji.as_str().unwrap().as_bytes()).collect();
        let path = ["bob", "alice"];
        let reacted = runtime.block_on(app.react(Method::PUT, path, 1, &emoji.replace('+', "%20")));
        runtime.block_on(app.react(Method::DELETE, path, 1, &emoji.replace('+', "%20")));
        reacted.status
    });
    assert!(accepted > 20, "{accepted}");
}
