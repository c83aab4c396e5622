//! The chat session as a state machine, tested without a service.

use duologue::cli::chat::ChatError;
use duologue::cli::chat::event::ClientEvent;
use duologue::cli::chat::session::Session;
use serde_json::{Value, json};

use super::played::{NOTHING, Played, created, event, hello, message};

#[test]
fn typed_lines_are_sent_in_order_and_shown_once_stored() {
    let mut alice = Played::begun();
    assert_eq!(alice.types("one"), [r#"say send "one""#]);
    assert_eq!(
        alice.types("two"),
        NOTHING,
        "not before the first is stored"
    );
    assert_eq!(alice.types("  "), NOTHING, "nothing to say");
    // The event may arrive before the acknowledgement or after it.
    let one = message(1, "alice", "one");
    assert_eq!(alice.hears(created("1-1", &one)), ["alice: one"]);
    let answer = json!({"message": one});
    assert_eq!(alice.is_answered("ack", &answer), [r#"say send "two""#]);
    let two = message(2, "alice", "two");
    let answer = json!({"message": two, "replayed": true});
    assert_eq!(alice.is_answered("ack", &answer), ["alice: two"]);
    assert_eq!(alice.hears(created("1-2", &two)), NOTHING);
}

#[test]
fn unacknowledged_messages_are_resent_with_their_key() {
    let mut alice = Played::begun();
    alice.types("one");
    let first = alice.said.last().unwrap().clone();
    assert_eq!(
        alice.loses(None),
        ["reconnecting…", "connect at 1-0 after 1"]
    );
    assert_eq!(alice.types("two"), NOTHING);
    assert_eq!(alice.loses(None), ["connect at 1-0 after 2"]);
    assert_eq!(alice.hears(hello("1-0")), ["back", r#"say send "one""#]);
    assert_eq!(alice.said.last(), Some(&first));
    // A busy service is retried; a refusal is not.
    let busy = json!({"problem": {"status": 503, "detail": "busy"}});
    assert_eq!(alice.is_answered("error", &busy), NOTHING);
    assert_eq!(alice.take(ClientEvent::Second), NOTHING);
    assert_eq!(alice.take(ClientEvent::Second), [r#"say send "one""#]);
    let blocked = json!({"problem": {"status": 403, "detail": "no"}});
    assert_eq!(
        alice.is_answered("error", &blocked),
        ["not sent: “one”: no", r#"say send "two""#]
    );
}

#[test]
fn each_message_is_shown_once_in_order_and_marked_read() {
    let mut alice = Played::begun();
    let [one, two, three] = [1, 2, 3].map(|seq| message(seq, "bob", &format!("no {seq}")));
    let shown = ["bob: no 1", "say delivered 1", "say read 1"];
    assert_eq!(alice.hears(created("1-1", &one)), shown);
    assert_eq!(
        alice.hears(created("1-1", &one)),
        NOTHING,
        "an event may come twice"
    );
    // Message 2 is missing: it is fetched, and message 3 waits.
    assert_eq!(alice.hears(created("1-3", &three)), ["read after 1"]);
    let page = alice.page(&[two, three.clone()], 3, None);
    assert_eq!(page, ["bob: no 2", "bob: no 3"], "a receipt is under way");
    let answered = alice.hears(json!({"type": "ack", "ref": "read"}));
    assert_eq!(answered, ["say delivered 3", "say read 3"]);
    assert_eq!(alice.hears(created("1-3", &three)), NOTHING);
    assert_eq!(alice.hears(event("typing", "1-3", &json!({}))), NOTHING);
    let of_another = json!({"peer": "carol", "message": message(9, "carol", "hi")});
    assert_eq!(
        alice.hears(event("message.created", "1-4", &of_another)),
        NOTHING
    );
    assert_eq!(
        alice.loses(Some(1012)),
        ["reconnecting…", "connect at 1-4 after 0"]
    );
}

#[test]
fn missed_messages_are_fetched_page_by_page() {
    let mut alice = Played::begun();
    let one = message(1, "bob", "one");
    alice.hears(created("1-1", &one));
    alice.hears(json!({"type": "ack", "ref": "read"}));
    let changed = event("conversation.changed", "1-9", &json!({"last_seq": 4}));
    assert_eq!(alice.hears(changed), ["read after 1"]);
    // The next message arrives during the fetch.
    let five = message(5, "bob", "five");
    assert_eq!(alice.hears(created("1-10", &five)), ["read after 1"]);
    let [two, four] = [(2, "two"), (4, "four")].map(|(seq, body)| message(seq, "bob", body));
    let page = alice.page(&[two], 5, Some(2));
    assert_eq!(
        page,
        ["bob: two", "read after 2", "say delivered 2", "say read 2"]
    );
    // The connection breaks before the page arrives; message 3 is gone afterwards.
    assert_eq!(
        alice.loses(None),
        ["reconnecting…", "connect at 1-10 after 1"]
    );
    let back = alice.hears(hello("1-10"));
    assert_eq!(
        back,
        ["back", "read after 2", "say delivered 2", "say read 2"]
    );
    assert_eq!(
        alice.page(&[four, five], 5, None),
        ["bob: four", "bob: five"]
    );
    // A replaced store has fewer messages.
    let reset = json!({"type": "reset", "cursor": "2-0"});
    assert_eq!(alice.hears(reset), ["read after 5"]);
    assert_eq!(alice.page(&[], 1, None), NOTHING);
    let other = message(2, "bob", "another two");
    assert_eq!(alice.hears(created("2-1", &other)), ["bob: another two"]);
}

#[test]
fn changes_to_a_message_are_shown_briefly() {
    let mut alice = Played::begun();
    let mut one = message(1, "bob", "Lunch at\none \u{1b}[31mo'clock?");
    let safe = "bob: Lunch at\n      one \u{fffd}[31mo'clock?";
    assert_eq!(alice.hears(created("1-1", &one))[0], safe);
    one["body"] = json!("Lunch at two?");
    let updated = |one: &Value| event("message.updated", "1-2", &json!({"message": one}));
    assert_eq!(alice.hears(updated(&one)), ["bob edited: Lunch at two?"]);
    assert_eq!(alice.hears(updated(&one)), NOTHING);
    one["reactions"] = json!({"👍": ["alice"]});
    let reacted = ["reactions to “Lunch at two?”: 👍 alice"];
    assert_eq!(alice.hears(updated(&one)), reacted);
    one["deleted_at"] = json!("2019-01-31T12:00:01.000Z");
    one["body"] = json!("");
    let deleted = event("message.deleted", "1-3", &json!({"message": one}));
    assert_eq!(alice.hears(deleted), ["bob deleted: “Lunch at two?”"]);
}

#[test]
fn it_exits_once_everything_is_acknowledged() {
    let mut alice = Played::greeted();
    alice.types("one");
    assert_eq!(alice.take(ClientEvent::Finished), NOTHING);
    let shown = alice.page(&[message(1, "alice", "one")], 1, None);
    assert_eq!(shown, ["alice: one", "say delivered 0", "say read 0"]);
    assert_eq!(alice.hears(json!({"type": "ack", "ref": "read"})), NOTHING);
    let key = alice.said[0]["ref"].clone();
    let answer = json!({"type": "ack", "ref": key, "message": message(1, "alice", "one")});
    assert_eq!(alice.hears(answer), ["end"]);
}

#[test]
fn it_exits_with_a_list_of_undelivered_lines() {
    let mut alice = Played::begun();
    alice.types("one");
    alice.loses(None);
    assert_eq!(alice.take(ClientEvent::Finished), NOTHING);
    for _ in 0..4 {
        assert_eq!(alice.take(ClientEvent::Second), NOTHING);
    }
    let end = [
        "not sent: “one”".to_owned(),
        format!("end: {}", ChatError::Unsent(1)),
    ];
    assert_eq!(alice.take(ClientEvent::Second)[..2], end);
    // While messages are acknowledged, the session waits for the rest.
    let mut alice = Played::begun();
    alice.types("one");
    alice.types("two");
    alice.take(ClientEvent::Finished);
    for body in ["one", "two"] {
        (0..4).for_each(|_| assert_eq!(alice.take(ClientEvent::Second), NOTHING));
        let answer = json!({"message": message(1, "alice", body)});
        let acts = alice.is_answered("ack", &answer);
        assert_eq!(acts.contains(&"end".to_owned()), body == "two");
    }
    // A second `Finished` ends it at once.
    let mut alice = Played::begun();
    alice.types("one");
    alice.take(ClientEvent::Finished);
    assert_eq!(alice.take(ClientEvent::Finished)[..2], end);
}

#[test]
fn a_silent_service_is_disconnected() {
    let mut alice = Played::begun();
    let seconds = |alice: &mut Played, count: usize| -> Vec<String> {
        (0..count)
            .flat_map(|_| alice.take(ClientEvent::Second))
            .collect()
    };
    assert_eq!(seconds(&mut alice, 50), NOTHING);
    alice.take(ClientEvent::Sign);
    assert_eq!(seconds(&mut alice, 50), NOTHING);
    let left = ["reconnecting…", "connect at 1-0 after 1"];
    assert_eq!(seconds(&mut alice, 1), left);
    // A service that does not respond is disconnected too.
    assert_eq!(alice.hears(hello("1-0")), ["back"]);
    alice.types("one");
    assert_eq!(seconds(&mut alice, 15), NOTHING);
    assert_eq!(seconds(&mut alice, 1), left);
}

#[test]
fn a_refused_connection_shows_the_reason() {
    let problem = |status: u16| {
        let problem = json!({"status": status, "detail": "because"});
        ClientEvent::Refused(serde_json::from_value(problem).unwrap())
    };
    for status in [401, 403, 404, 503] {
        let mut alice = Played::greeted();
        alice.session = Session::new("alice", "bob");
        let end = format!("end: the service answered {status}: because");
        assert_eq!(alice.take(problem(status)), [end]);
    }
    // After a first successful connection it retries a busy service.
    let mut alice = Played::begun();
    alice.loses(None);
    assert_eq!(alice.take(problem(503)), ["connect at 1-0 after 2"]);
    assert_eq!(
        alice.take(problem(403)),
        ["end: the service answered 403: because"]
    );
    let expired = ["end: the token has expired; come back with a fresh one"];
    assert_eq!(Played::begun().loses(Some(4401)), expired);
}
