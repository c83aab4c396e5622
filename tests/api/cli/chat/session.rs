//! The chat session as a state machine, tested without a service.

use duologue::cli::chat::ChatError;
use duologue::cli::chat::event::ClientEvent;
use serde_json::{Value, json};

use super::test_session::{NOTHING, TestSession, created, event, hello, message, new_session};

#[test]
fn typed_lines_are_sent_in_order_and_shown_once_stored() {
    let mut alice = TestSession::with_empty_conversation();
    assert_eq!(alice.enter("one"), [r#"send "one""#]);
    assert_eq!(alice.enter("two"), NOTHING, "the first is in flight");
    assert_eq!(alice.enter("  "), NOTHING, "a blank line is ignored");
    // The event may arrive before the acknowledgement or after it.
    let one = message(1, "alice", "one");
    assert_eq!(alice.receive(created("1-1", &one)), ["alice: one"]);
    let answer = json!({"message": one});
    assert_eq!(alice.answer("ack", &answer), [r#"send "two""#]);
    let two = message(2, "alice", "two");
    let answer = json!({"message": two, "replayed": true});
    assert_eq!(alice.answer("ack", &answer), ["alice: two"]);
    assert_eq!(alice.receive(created("1-2", &two)), NOTHING);
}

#[test]
fn unacknowledged_messages_are_resent_with_their_key() {
    let mut alice = TestSession::with_empty_conversation();
    alice.enter("one");
    let first = alice.sent.last().unwrap().clone();
    assert_eq!(
        alice.disconnect(None),
        ["reconnecting…", "connect at 1-0 after 1 failures"]
    );
    assert_eq!(alice.enter("two"), NOTHING);
    assert_eq!(alice.disconnect(None), ["connect at 1-0 after 2 failures"]);
    assert_eq!(
        alice.receive(hello("1-0")),
        ["reconnected", r#"send "one""#]
    );
    assert_eq!(alice.sent.last(), Some(&first));
    // A busy service is retried; a refusal is not.
    let busy = json!({"problem": {"status": 503, "detail": "busy"}});
    assert_eq!(alice.answer("error", &busy), NOTHING);
    assert_eq!(alice.handle(ClientEvent::Tick), NOTHING);
    assert_eq!(alice.handle(ClientEvent::Tick), [r#"send "one""#]);
    let blocked = json!({"problem": {"status": 403, "detail": "no"}});
    assert_eq!(
        alice.answer("error", &blocked),
        ["not sent: “one”: no", r#"send "two""#]
    );
}

#[test]
fn each_message_is_shown_once_in_order_and_marked_read() {
    let mut alice = TestSession::with_empty_conversation();
    let [one, two, three] = [1, 2, 3].map(|seq| message(seq, "bob", &format!("no {seq}")));
    let shown = ["bob: no 1", "delivered 1", "read 1"];
    assert_eq!(alice.receive(created("1-1", &one)), shown);
    assert_eq!(
        alice.receive(created("1-1", &one)),
        NOTHING,
        "an event may come twice"
    );
    // Message 2 is missing: it is fetched, and message 3 waits.
    assert_eq!(alice.receive(created("1-3", &three)), ["load after 1"]);
    let page = alice.load_page(&[two, three.clone()], 3, None);
    assert_eq!(page, ["bob: no 2", "bob: no 3"], "a receipt is in flight");
    let answered = alice.receive(json!({"type": "ack", "ref": "read"}));
    assert_eq!(answered, ["delivered 3", "read 3"]);
    assert_eq!(alice.receive(created("1-3", &three)), NOTHING);
    assert_eq!(alice.receive(event("typing", "1-3", &json!({}))), NOTHING);
    let of_another = json!({"peer": "carol", "message": message(9, "carol", "hi")});
    assert_eq!(
        alice.receive(event("message.created", "1-4", &of_another)),
        NOTHING
    );
    assert_eq!(
        alice.disconnect(Some(1012)),
        ["reconnecting…", "connect at 1-4 after 0 failures"]
    );
}

#[test]
fn missed_messages_are_fetched_page_by_page() {
    let mut alice = TestSession::with_empty_conversation();
    let one = message(1, "bob", "one");
    alice.receive(created("1-1", &one));
    alice.receive(json!({"type": "ack", "ref": "read"}));
    let changed = event("conversation.changed", "1-9", &json!({"last_seq": 4}));
    assert_eq!(alice.receive(changed), ["load after 1"]);
    // The next message arrives during the fetch.
    let five = message(5, "bob", "five");
    assert_eq!(alice.receive(created("1-10", &five)), ["load after 1"]);
    let [two, four] = [(2, "two"), (4, "four")].map(|(seq, body)| message(seq, "bob", body));
    let page = alice.load_page(&[two], 5, Some(2));
    assert_eq!(page, ["bob: two", "load after 2", "delivered 2", "read 2"]);
    // The connection breaks before the page arrives; message 3 is gone afterwards.
    assert_eq!(
        alice.disconnect(None),
        ["reconnecting…", "connect at 1-10 after 1 failures"]
    );
    let back = alice.receive(hello("1-10"));
    assert_eq!(
        back,
        ["reconnected", "load after 2", "delivered 2", "read 2"]
    );
    assert_eq!(
        alice.load_page(&[four, five], 5, None),
        ["bob: four", "bob: five"]
    );
    // A replaced store has fewer messages.
    let reset = event("reset", "2-0", &json!({}));
    assert_eq!(alice.receive(reset), ["load after 5"]);
    assert_eq!(alice.load_page(&[], 1, None), NOTHING);
    let other = message(2, "bob", "another two");
    assert_eq!(alice.receive(created("2-1", &other)), ["bob: another two"]);
}

#[test]
fn a_page_older_than_the_last_event_repeats_no_message() {
    let mut alice = TestSession::with_empty_conversation();
    let changed = event("conversation.changed", "1-1", &json!({}));
    assert_eq!(alice.receive(changed), ["load after 0"]);
    let one = message(1, "bob", "one");
    assert_eq!(alice.receive(created("1-2", &one))[0], "bob: one");
    // The service read the page before the message was stored.
    assert_eq!(alice.load_page(&[], 0, None), NOTHING);
    assert_eq!(alice.receive(created("1-2", &one)), NOTHING);
}

#[test]
fn changes_to_a_message_are_shown_briefly() {
    let mut alice = TestSession::with_empty_conversation();
    let mut one = message(1, "bob", "Lunch at\none \u{1b}[31mo'clock?");
    let safe = "bob: Lunch at\n      one \u{fffd}[31mo'clock?";
    assert_eq!(alice.receive(created("1-1", &one))[0], safe);
    one["body"] = json!("Lunch at two?");
    let updated = |one: &Value| event("message.updated", "1-2", &json!({"message": one}));
    assert_eq!(alice.receive(updated(&one)), ["bob edited: Lunch at two?"]);
    assert_eq!(alice.receive(updated(&one)), NOTHING);
    one["reactions"] = json!({"👍": ["alice"]});
    let reacted = ["reactions to “Lunch at two?”: 👍 alice"];
    assert_eq!(alice.receive(updated(&one)), reacted);
    one["deleted_at"] = json!("2019-01-31T12:00:01.000Z");
    one["body"] = json!("");
    let deleted = event("message.deleted", "1-3", &json!({"message": one}));
    assert_eq!(alice.receive(deleted), ["bob deleted: “Lunch at two?”"]);
}

#[test]
fn it_exits_once_everything_is_acknowledged() {
    let mut alice = TestSession::after_hello();
    alice.enter("one");
    assert_eq!(alice.handle(ClientEvent::Quit), NOTHING);
    let shown = alice.load_page(&[message(1, "alice", "one")], 1, None);
    assert_eq!(shown, ["alice: one", "delivered 0", "read 0"]);
    assert_eq!(
        alice.receive(json!({"type": "ack", "ref": "read"})),
        NOTHING
    );
    let key = alice.sent[0]["ref"].clone();
    let answer = json!({"type": "ack", "ref": key, "message": message(1, "alice", "one")});
    assert_eq!(alice.receive(answer), ["exit"]);
}

#[test]
fn it_exits_with_a_list_of_undelivered_lines() {
    let mut alice = TestSession::with_empty_conversation();
    alice.enter("one");
    alice.disconnect(None);
    assert_eq!(alice.handle(ClientEvent::Quit), NOTHING);
    for _ in 0..4 {
        assert_eq!(alice.handle(ClientEvent::Tick), NOTHING);
    }
    let exit = [
        "not sent: “one”".to_owned(),
        format!("exit: {}", ChatError::Unsent(1)),
    ];
    assert_eq!(alice.handle(ClientEvent::Tick)[..2], exit);
    // While messages are acknowledged, the session waits for the rest.
    let mut alice = TestSession::with_empty_conversation();
    alice.enter("one");
    alice.enter("two");
    alice.handle(ClientEvent::Quit);
    for body in ["one", "two"] {
        (0..4).for_each(|_| assert_eq!(alice.handle(ClientEvent::Tick), NOTHING));
        let answer = json!({"message": message(1, "alice", body)});
        let effects = alice.answer("ack", &answer);
        assert_eq!(effects.contains(&"exit".to_owned()), body == "two");
    }
    // A second `Quit` ends it at once.
    let mut alice = TestSession::with_empty_conversation();
    alice.enter("one");
    alice.handle(ClientEvent::Quit);
    assert_eq!(alice.handle(ClientEvent::Quit)[..2], exit);
}

#[test]
fn a_silent_service_is_disconnected() {
    let mut alice = TestSession::with_empty_conversation();
    let seconds = |alice: &mut TestSession, count: usize| -> Vec<String> {
        (0..count)
            .flat_map(|_| alice.handle(ClientEvent::Tick))
            .collect()
    };
    assert_eq!(seconds(&mut alice, 50), NOTHING);
    alice.handle(ClientEvent::Heartbeat);
    assert_eq!(seconds(&mut alice, 50), NOTHING);
    let left = ["reconnecting…", "connect at 1-0 after 1 failures"];
    assert_eq!(seconds(&mut alice, 1), left);
    // A service that does not respond is disconnected too.
    assert_eq!(alice.receive(hello("1-0")), ["reconnected"]);
    alice.enter("one");
    assert_eq!(seconds(&mut alice, 15), NOTHING);
    assert_eq!(seconds(&mut alice, 1), left);
}

#[test]
fn a_refused_connection_shows_the_reason() {
    let problem = |status: u16| {
        let problem = json!({"status": status, "detail": "because"});
        ClientEvent::Rejected(serde_json::from_value(problem).unwrap())
    };
    for status in [401, 403, 404, 503] {
        let mut alice = TestSession::after_hello();
        alice.session = new_session();
        let exit = format!("exit: the service answered {status}: because");
        assert_eq!(alice.handle(problem(status)), [exit]);
    }
    // After a first successful connection it retries a busy service.
    let mut alice = TestSession::with_empty_conversation();
    alice.disconnect(None);
    assert_eq!(
        alice.handle(problem(503)),
        ["connect at 1-0 after 2 failures"]
    );
    assert_eq!(
        alice.handle(problem(403)),
        ["exit: the service answered 403: because"]
    );
    let expired = ["exit: the token has expired; start again with a new one"];
    assert_eq!(
        TestSession::with_empty_conversation().disconnect(Some(4401)),
        expired
    );
    // To reconnect would end the connection of another device.
    let replaced = ["exit: the user is connected with too many other devices"];
    assert_eq!(
        TestSession::with_empty_conversation().disconnect(Some(4409)),
        replaced
    );
}
