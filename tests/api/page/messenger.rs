//! Two users chat in the messenger page, in Chromium, while the service is killed and restarted.

use serde_json::Value;

use crate::harness::page::browser::Browser;
use crate::harness::page::prefix_proxy;
use crate::harness::page::restartable_service::RestartableService;
use crate::harness::page::window::{SEQS, TEXTS, Window};

#[test]
fn two_windows_lose_no_message_across_an_outage() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = RestartableService::start();
    let alice = browser.open(&service.address);
    alice.sign_in("alice");
    alice.start_conversation("bob");
    alice.send("Hello");
    alice.wait_visible("[data-key='1'] .tick.sent");
    let bob = browser.open(&service.address);
    bob.sign_in("bob");
    exchange_messages(&alice, &bob);
    change_messages(&alice, &bob);

    // The service is killed before the sender learns whether this message was stored.
    alice.send("zero");
    service.kill();
    write_while_disconnected(&alice, &bob);
    bob.set_network(false);
    service.restart();
    // Bob is offline, so he receives what Alice sends now only by resuming from his cursor.
    alice.wait_connected();
    alice.wait_hidden(".tick.pending");
    bob.set_network(true);
    assert_nothing_is_missing(&alice, &bob);
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_page_works_under_a_path_of_a_proxy() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let service = RestartableService::start();
    let alice = browser.open(&prefix_proxy::start(&service.address));
    alice.sign_in("alice");
    alice.start_conversation("bob");
    alice.send("Hello");
    alice.wait_visible("[data-key='1'] .tick.sent");
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_page_accepts_the_ids_that_the_service_accepts() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let service = RestartableService::start();
    let [one, other] = [
        "auth0|o'brien+1@example.com",
        "@bob:example.org;x=(1)&2*$!~_-.",
    ];
    let alice = browser.open(&service.address);
    alice.sign_in(one);
    alice.start_conversation(other);
    alice.send("Hello");
    alice.wait_visible("[data-key='1'] .tick.sent");
    let bob = browser.open(&service.address);
    bob.sign_in(other);
    bob.click(".row");
    bob.wait_for_text("#messages", "Hello");
    alice.wait_visible("[data-key='1'] .tick.read");
    let takes = |id: &str| {
        let script = format!(
            "(() => {{ const input = document.getElementById('new-peer'); input.value = {id:?}; \
             const valid = input.checkValidity(); input.value = ''; return valid; }})()"
        );
        alice.evaluate(&script)
    };
    for id in ["a", "...", "Room:1", &"x".repeat(255), "a=b|c"] {
        assert_eq!(takes(id), true, "{id}");
    }
    for id in [".", "..", "room:1", "a b", "a,b", "a/b", &"x".repeat(256)] {
        assert_eq!(takes(id), false, "{id}");
    }
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_page_refetches_after_conversation_changed_and_reset() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = RestartableService::start();
    let [alice, bob] = ["alice", "bob"].map(|user| {
        let window = browser.open(&service.address);
        window.sign_in(user);
        window
    });
    bob.start_conversation("alice");
    bob.send("one");
    alice.click(".row");
    alice.wait_for_text("#messages", "one");
    // Clears the conversation as another device would, which causes a `conversation.changed`.
    alice.evaluate("void fetch('/conversations/alice/bob', {method: 'DELETE'})");
    alice.wait_hidden("#messages li");
    alice.wait_visible("#no-conversations");
    bob.send("two");
    bob.send("three");
    alice.wait_until(&format!(
        "String({TEXTS}) === 'two,three' && String({SEQS}) === '2,3'"
    ));

    service.kill();
    let mut redis = service.redis.connect();
    redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
    bob.send("after");
    service.restart();
    // The store was emptied, so their cursors are unknown, which causes a `reset`.
    for window in [&alice, &bob] {
        window.wait_until(&format!(
            "String({TEXTS}) === 'after' && String({SEQS}) === '1'"
        ));
        window.wait_for_text(".row", "after");
    }
    assert_eq!(browser.errors(), [""; 0]);
}

/// Delivery status, badge, typing, presence.
fn exchange_messages(alice: &Window, bob: &Window) {
    alice.wait_visible("[data-key='1'] .tick.delivered");
    bob.wait_for_text(".badge", "1");
    bob.wait_until("document.title === '(1) Duologue'");
    bob.click(".row");
    alice.wait_visible("[data-key='1'] .tick.read");
    bob.wait_hidden(".badge");
    bob.wait_until("document.title === 'Duologue'");
    alice.wait_hidden("#typing");
    bob.click("#text");
    bob.type_text("Hi");
    alice.wait_visible("#typing");
    alice.wait_for_text(".row", "typing");
    bob.press("Enter");
    alice.wait_for_text("[data-key='2']", "Hi");
    alice.wait_hidden("#typing");
    alice.wait_for_text("#announcer", "bob: Hi");
    alice.wait_for_text("#presence", "online");
}

/// Edit, reply, reaction, deletion, and text that looks like markup.
fn change_messages(alice: &Window, bob: &Window) {
    alice.choose_action(1, "edit");
    alice.type_text(" there");
    alice.press("Enter");
    bob.wait_for_text("[data-key='1']", "Hello there");
    bob.wait_for_text("[data-key='1']", "edited");
    bob.choose_action(1, "reply");
    bob.send("At one?");
    alice.wait_for_text("[data-key='3'] blockquote", "alice: Hello there");
    bob.click("[data-key='1'] .menu");
    bob.click("#actions button:first-child");
    alice.wait_for_text("[data-key='1'] .reactions", "1");
    bob.click("[data-key='1'] .reactions button");
    alice.wait_hidden("[data-key='1'] .reactions button");
    alice.choose_action(1, "remove");
    alice.click("#confirm-delete [value='delete']");
    bob.wait_visible("[data-key='1'] .deleted");
    bob.wait_hidden("[data-key='1'] .menu");
    alice.send("<img src=x onerror=alert(1)>");
    bob.wait_for_text("[data-key='4'] p", "<img src=x onerror=alert(1)>");
    bob.wait_hidden("#messages img");
}

fn write_while_disconnected(alice: &Window, bob: &Window) {
    for (window, texts) in [(alice, ["one", "two"]), (bob, ["three", "four"])] {
        window.wait_for_text("#connection", "Reconnecting");
        window.wait_visible("#connection");
        for text in texts {
            window.send(text);
        }
        window.wait_until("document.querySelectorAll('.tick.pending').length >= 2");
    }
}

/// Everything is there, once, in the same order for both, and everything has been read.
fn assert_nothing_is_missing(alice: &Window, bob: &Window) {
    for window in [alice, bob] {
        window.wait_connected();
        window.wait_until(&format!("String({SEQS}) === '1,2,3,4,5,6,7,8,9'"));
        window.wait_hidden(".tick.pending");
        window.wait_hidden(".badge");
    }
    let texts = alice.evaluate(TEXTS);
    assert_eq!(texts, bob.evaluate(TEXTS));
    let texts: Vec<_> = texts
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    assert_eq!(texts[1..3], ["\"Hi\"", "\"At one?\""]);
    let place = |text: &str| {
        texts
            .iter()
            .position(|t| t.trim_matches('"') == text)
            .unwrap()
    };
    assert!(
        place("zero") < place("one")
            && place("one") < place("two")
            && place("three") < place("four"),
        "{texts:?}"
    );
    alice
        .wait_until("[...document.querySelectorAll('.mine .tick')].every(t => t.matches('.read'))");
}
