//! `PUT` and `DELETE .../messages/{seq}/reactions/{emoji}`.

use reqwest::Method;
use serde_json::json;

use crate::messages::edits::with_message;

#[tokio::test]
async fn both_users_react_and_remove_only_their_own_reactions() {
    let (app, sent) = with_message(json!({})).await;
    let (alice, bob) = (["alice", "bob"], ["bob", "alice"]);
    let reactions = async || {
        let message = app.message("alice", "bob", 1).await.json(200);
        message.get("reactions").cloned()
    };
    app.react(Method::PUT, bob, 1, "👍").await.json(200);
    app.react(Method::PUT, bob, 1, "👍").await.json(200);
    app.react(Method::PUT, alice, 1, "👍").await.json(200);
    app.react(Method::PUT, bob, 1, "🎉").await.json(200);
    let all = json!({"👍": ["bob", "alice"], "🎉": ["bob"]});
    assert_eq!(reactions().await, Some(all));
    app.react(Method::DELETE, alice, 1, "🎉").await.json(200);
    app.react(Method::DELETE, bob, 1, "👍").await.json(200);
    app.react(Method::DELETE, bob, 1, "🎉").await.json(200);
    assert_eq!(reactions().await, Some(json!({"👍": ["alice"]})));
    let none = app.react(Method::DELETE, alice, 1, "👍").await.json(200);
    assert_eq!(none, sent, "and sets no `edited_at`");
    assert_eq!(app.badge("bob").await, [1, 1], "a reaction is no reading");
    assert_eq!(app.badge("alice").await, [0, 0], "nor a message");
}

#[tokio::test]
async fn a_reaction_is_one_emoji_and_a_message_has_at_most_20() {
    let (app, _) = with_message(json!({})).await;
    let bob = ["bob", "alice"];
    let one_each = ["👍", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"];
    for emoji in one_each {
        let answer = app.react(Method::PUT, bob, 1, emoji).await;
        assert_eq!(answer.status, 200, "{emoji}: {answer:?}");
        assert_eq!(answer.json(200)["reactions"][emoji], json!(["bob"]));
    }
    let long = "👍".repeat(17);
    for other in [
        "a", "é", "ok", "👍👍", "%20", "%00", "1", "%F0%9F", "漢", &long,
    ] {
        let answer = app.react(Method::PUT, bob, 1, other).await;
        assert_eq!(answer.status, 400, "{other}: {answer:?}");
        answer.invalid_field("/path/emoji");
    }
    for emoji in "😀😁😂😃😄😅😆😇😈😉😊😋".chars() {
        let answer = app.react(Method::PUT, bob, 1, &emoji.to_string()).await;
        assert_eq!(answer.status, 200, "{emoji}");
    }
    let refused = app.react(Method::PUT, bob, 1, "😌").await;
    refused.problem(422, "TOO_MANY_REACTIONS");
    let same = app.react(Method::PUT, ["alice", "bob"], 1, "👍").await;
    assert_eq!(same.status, 200, "one that is there is no further one");
}
