//! `PUT` and `DELETE .../messages/{seq}/reactions/{emoji}`.

use duologue::model::Emoji;
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
    assert_eq!(
        app.badge("bob").await,
        [1, 1],
        "a reaction does not mark as read"
    );
    assert_eq!(
        app.badge("alice").await,
        [0, 0],
        "and does not count as a message"
    );
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
    assert_eq!(same.status, 200, "an existing emoji does not count again");
}

/// Reactions that are not an emoji of Unicode's list.
const NO_EMOJI: [(&str, &str); 13] = [
    ("a letter with a keycap", "a\u{20e3}"),
    ("a zero-width joiner", "\u{200d}"),
    ("an override of direction", "\u{202e}"),
    ("a variation selector", "\u{fe0f}"),
    ("a private character", "\u{e000}"),
    ("a digit with a presentation", "1\u{fe0f}"),
    ("a skin tone by itself", "\u{1f3fd}"),
    ("a half of a flag", "\u{1f1e9}"),
    ("a flag of no region", "\u{1f1e9}\u{1f1e9}"),
    ("a text presentation", "\u{2764}\u{fe0e}"),
    ("two presentations", "\u{1f44d}\u{fe0f}\u{fe0f}"),
    ("a leading presentation", "\u{fe0f}\u{1f44d}"),
    ("joined emoji that make none", "👍\u{200d}🦊"),
];

#[tokio::test]
async fn each_emoji_has_one_stored_form_in_either_spelling() {
    let (app, _) = with_message(json!({})).await;
    let bob = ["bob", "alice"];
    let forms = [
        ("❤️", "\u{2764}"),
        ("🅰️", "\u{1f170}"),
        ("Ⓜ️", "\u{24c2}"),
        ("ℹ️", "\u{2139}"),
        ("1️⃣", "1\u{20e3}"),
        ("👁️‍🗨️", "\u{1f441}\u{200d}\u{1f5e8}"),
        ("🏳️‍🌈", "\u{1f3f3}\u{200d}\u{1f308}"),
        ("👍", "\u{1f44d}\u{fe0f}"),
        ("👨🏼‍❤️‍👨🏼", "👨🏼\u{200d}\u{2764}\u{200d}👨🏼"),
    ];
    for (stored, other) in forms {
        let added = app.react(Method::PUT, bob, 1, other).await.json(200);
        assert_eq!(added["reactions"], json!({stored: ["bob"]}), "{stored}");
        let again = app.react(Method::PUT, bob, 1, stored).await.json(200);
        assert_eq!(again, added, "{stored}");
        let none = app.react(Method::DELETE, bob, 1, other).await.json(200);
        assert_eq!(none.get("reactions"), None, "{stored}");
    }
    for (reason, text) in NO_EMOJI {
        let answer = app.react(Method::PUT, bob, 1, text).await;
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.invalid_field("/path/emoji");
    }
}

#[test]
fn every_fully_qualified_emoji_is_accepted_unchanged() {
    let all: Vec<_> = Emoji::all().collect();
    assert!(all.len() > 3_900, "{}", all.len());
    for emoji in all {
        let text = emoji.as_str();
        assert_eq!(emojis::get(text).unwrap().as_str(), text);
        for form in [text.to_owned(), text.replace('\u{fe0f}', "")] {
            let stored = Emoji::try_from(form).unwrap();
            assert_eq!(stored, emoji);
        }
    }
}
