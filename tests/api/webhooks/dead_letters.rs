//! Events that an endpoint does not take although it takes others.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::webhooks::{IMPATIENT, Reaction, Receiver};
use crate::harness::{TestApp, eventually, spawn_app_with};

/// A service, and a receiver that takes everything but messages whose text begins with `bad`.
async fn with_bad_messages() -> (TestApp, Receiver) {
    let (app, receiver) = (spawn_app_with(&IMPATIENT), Receiver::start());
    let is_bad = |text: &str| text.starts_with("bad");
    receiver
        .react(move |request| Reaction::Status(if is_bad(&request.text()) { 500 } else { 200 }));
    app.subscribe_webhook("hook", &receiver).await;
    (app, receiver)
}

/// Sends a message that is not taken, and others until there are so many dead letters.
async fn make_dead_letter(app: &TestApp, text: &str, count: usize) {
    app.send("alice", "bob", text).await;
    let others = async || {
        app.send("carol", "dave", "good").await;
        app.subscription("hook").await["dead"] == count
    };
    eventually("it is a dead letter", Duration::from_secs(60), others).await;
}

async fn retry(app: &TestApp, selection: &Value) -> Value {
    let path = "/subscriptions/hook/dead/retry";
    app.ask(Method::POST, path, selection).await.json(200)
}

#[tokio::test]
async fn after_eight_attempts_the_conversation_goes_on() {
    let (app, receiver) = with_bad_messages().await;
    app.send("alice", "bob", "first").await;
    receiver.wait_for(1).await;
    make_dead_letter(&app, "bad", 1).await;
    app.send("alice", "bob", "next").await;
    app.wait_until_taken("hook").await;
    let of_pair = receiver.received().into_iter();
    let of_pair = of_pair.filter(|r| r.event()["data"]["users"] == json!(["alice", "bob"]));
    let of_pair: Vec<_> = of_pair.map(|request| request.text()).collect();
    assert_eq!(of_pair.len(), 10, "{of_pair:?}");
    assert_eq!((&*of_pair[0], &*of_pair[9]), ("first", "next"));
    assert!(of_pair[1..9].iter().all(|text| text == "bad"));
    let letter = app.dead_letters("hook").await.remove(0);
    assert_eq!(
        (&letter["attempts"], &letter["status"]),
        (&json!(8), &json!(500))
    );
    assert_eq!(letter["event"]["data"]["message"]["body"], "bad");
    assert!(letter["failed_at"].is_string());
    let series = "duologue_webhook_dead_letters{subscription=\"hook\"}";
    let measured = async || crate::harness::metrics::metric(&app, series).await > 0.5;
    eventually("it is measured", Duration::from_secs(15), measured).await;
}

#[tokio::test]
async fn without_others_that_are_taken_an_event_waits() {
    let (app, receiver) = with_bad_messages().await;
    app.send("alice", "bob", "bad").await;
    receiver.wait_for(10).await;
    assert_eq!(app.subscription("hook").await["dead"], 0);
    receiver.answer(200);
    app.wait_until_taken("hook").await;
    assert_eq!(app.subscription("hook").await["dead"], 0);
}

#[tokio::test]
async fn dead_letters_are_sent_again_when_asked() {
    let (app, receiver) = with_bad_messages().await;
    make_dead_letter(&app, "bad 1", 1).await;
    make_dead_letter(&app, "bad 2", 2).await;
    let letters = app.dead_letters("hook").await;
    let id = &letters[1]["event"]["id"];
    let selection = json!({"ids": [id, "1-1-0"]});
    assert_eq!(retry(&app, &selection).await["retried"], 1);
    let failed = async || app.dead_letters("hook").await.len() == 2;
    eventually("it fails again", Duration::from_secs(20), failed).await;
    let letters = app.dead_letters("hook").await;
    assert_eq!(
        (&letters[1]["event"]["id"], &letters[1]["attempts"]),
        (id, &json!(9))
    );
    app.wait_until_taken("hook").await;
    receiver.answer(200);
    let before = receiver.received().len();
    assert_eq!(retry(&app, &json!({})).await["retried"], 2);
    let gone = async || app.subscription("hook").await["dead"] == 0;
    eventually("they are taken", Duration::from_secs(20), gone).await;
    let texts = receiver.texts().split_off(before);
    assert_eq!(texts, ["bad 1", "bad 2"]);
    assert_eq!(app.dead_letters("hook").await, [] as [Value; 0]);
    assert_eq!(retry(&app, &json!({})).await["retried"], 0);
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages() {
    let (app, _receiver) = with_bad_messages().await;
    for n in 1..=3 {
        make_dead_letter(&app, &format!("bad {n}"), n).await;
    }
    let (mut texts, mut query) = (Vec::new(), "limit=1".to_owned());
    loop {
        let path = format!("/subscriptions/hook/dead?{query}");
        let page = app.get(&path).await.json(200);
        let letters = page["dead_letters"].as_array().unwrap();
        let bodies = letters
            .iter()
            .map(|letter| &letter["event"]["data"]["message"]["body"]);
        texts.extend(bodies.map(|body| body.as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(texts, ["bad 1", "bad 2", "bad 3"]);
    app.unsubscribe("hook").await;
    let path = "/subscriptions/hook/dead";
    app.get(path).await.problem(404, "SUBSCRIPTION_NOT_FOUND");
    let retried = app
        .ask(Method::POST, &format!("{path}/retry"), &json!({}))
        .await;
    retried.problem(404, "SUBSCRIPTION_NOT_FOUND");
    let left = app.contents().into_keys();
    let left: Vec<_> = left
        .filter(|key| key.contains("dm:subscriptions"))
        .collect();
    assert_eq!(left, [] as [&str; 0]);
}

#[tokio::test]
async fn an_erasure_drops_the_dead_letters_of_the_user() {
    let (app, _receiver) = with_bad_messages().await;
    make_dead_letter(&app, "bad 1", 1).await;
    app.send("erin", "frank", "bad 2").await;
    make_dead_letter(&app, "bad 3", 3).await;
    let erased = app.request(Method::DELETE, "/users/bob").await;
    assert_eq!(erased.json(200)["done"], true);
    let letters = app.dead_letters("hook").await;
    let texts: Vec<_> = letters
        .iter()
        .map(|letter| &letter["event"]["data"]["message"]["body"])
        .collect();
    assert_eq!(texts, ["bad 2"]);
}

#[tokio::test]
async fn an_event_that_fails_after_an_erasure_is_gone() {
    let (app, receiver) = with_bad_messages().await;
    app.send("alice", "bob", "bad").await;
    receiver.wait_for(1).await;
    let erased = app.request(Method::DELETE, "/users/alice").await;
    assert_eq!(erased.json(200)["done"], true);
    app.send("alice", "bob", "next").await;
    let goes_on = async || {
        app.send("carol", "dave", "good").await;
        receiver.texts().contains(&"next".to_owned())
    };
    eventually("others follow", Duration::from_secs(60), goes_on).await;
    assert!(
        receiver
            .texts()
            .iter()
            .filter(|text| *text == "bad")
            .count()
            >= 8
    );
    assert_eq!(app.dead_letters("hook").await, [] as [Value; 0]);
}
