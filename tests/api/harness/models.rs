//! What the models of property tests share: how cases are run, and what becomes of a message.

use std::cell::Cell;
use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Runs random sequences of steps against a service and its model. One that fails is shrunk to the shortest that
/// does. Each run has a number of its own, so that runs on one service need not share users.
pub fn run_cases<S: Debug>(
    cases: u32,
    sequences: &impl Strategy<Value = Vec<S>>,
    run: impl AsyncFn(u32, Vec<S>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let runs = Cell::new(0);
    let outcome = TestRunner::new(config).run(sequences, |steps| {
        let number = runs.replace(runs.get() + 1);
        runtime.block_on(run(number, steps));
        Ok(())
    });
    outcome.unwrap();
}

/// Makes a tombstone of a message.
pub fn delete(message: &mut Value, deleted_at: &Value) {
    let fixed = ["seq", "id", "from", "to", "sent_at", "expires_at"];
    let members = message.as_object_mut().unwrap();
    members.retain(|name, _| fixed.contains(&name.as_str()));
    members.insert("body".to_owned(), json!(""));
    members.insert("deleted_at".to_owned(), deleted_at.clone());
}

/// Adds or removes the reaction of a user with an emoji.
pub fn set_reaction(message: &mut Value, emoji: &str, user: &Value, on: bool) {
    let message = message.as_object_mut().unwrap();
    let reactions = message.entry("reactions").or_insert(json!({}));
    let reactions = reactions.as_object_mut().unwrap();
    let users = reactions.entry(emoji).or_insert(json!([]));
    let users = users.as_array_mut().unwrap();
    if !on {
        users.retain(|other| other != user);
    } else if !users.contains(user) {
        users.push(user.clone());
    }
    if users.is_empty() {
        reactions.remove(emoji);
    }
    if reactions.is_empty() {
        message.remove("reactions");
    }
}
