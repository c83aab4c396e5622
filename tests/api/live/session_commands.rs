//! The commands of a live session, and the form of its answers.

use duologue::error::Code;
use duologue::protocol::{Ack, ClientMessage, Event, ServerMessage};
use duologue::realtime::{CommandResult, Input, Outgoing, Output};
use serde_json::{Value, json};

use crate::harness::live::test_session::{Action, NOON, TestSession, text};

#[test]
fn commands_are_answered_with_their_ref() {
    let mut session = TestSession::live();
    let send =
        json!({"type": "send", "ref": "1", "to": "bob", "body": "hi", "idempotency_key": "k"});
    assert_eq!(
        session.handle(text(&send)),
        [Action::SendMessage("bob k".into())]
    );
    assert_eq!(
        session.handle(text(
            &json!({"type": "read", "ref": "r", "peer": "bob", "seq": 3})
        )),
        [Action::OtherCommand]
    );
    assert_eq!(
        session.handle(text(&json!({"type": "ping", "ref": "\"2"}))),
        [Action::Frame(json!({"type": "ack", "ref": "\"2"}))]
    );
    assert_eq!(
        session.handle(text(&json!({"type": "ping"}))),
        [Action::Frame(json!({"type": "ack"}))]
    );
    let done = Ok(CommandResult::Sent {
        message: r#"{"seq":1}"#.into(),
        replayed: true,
    });
    assert_eq!(
        session.handle(Input::Executed(None, done)),
        [],
        "without a `ref` there is no answer"
    );
    let failed = Input::Executed(None, Err(Code::Blocked.into()));
    assert_eq!(session.handle(failed), [Action::Refusal(Code::Blocked)]);
}

#[test]
fn malformed_frames_are_refused_and_name_the_field() {
    let cases: &[(&str, Option<&str>)] = &[
        ("[]", Some("")),
        ("not JSON", None),
        ("{}", Some("/type")),
        (r#"{"type":7}"#, Some("/type")),
        (r#"{"type":"shout"}"#, Some("/type")),
        (r#"{"type":"ping","ref":7}"#, Some("/ref")),
        (r#"{"type":"ping","more":1}"#, Some("/more")),
        (r#"{"type":"send","body":"x"}"#, Some("/to")),
        (r#"{"type":"send","to":"bob","body":7}"#, Some("/body")),
        (
            r#"{"type":"send","to":"bob","body":"x","idempotency_key":""}"#,
            Some("/idempotency_key"),
        ),
        (r#"{"type":"read","peer":"bob"}"#, Some("/seq")),
        (r#"{"type":"read","peer":"bo b","seq":1}"#, Some("/peer")),
        (
            r#"{"type":"delivered","peer":"bob","seq":-1}"#,
            Some("/seq"),
        ),
        (r#"{"type":"typing"}"#, Some("/peer")),
        (r#"{"type":"token"}"#, Some("/token")),
    ];
    for (frame, pointer) in cases {
        let mut session = TestSession::live();
        session
            .session
            .handle(Input::Text((*frame).to_owned()), NOON, &mut session.out);
        let Some(Output::Send(Outgoing::Refusal(_, error))) = session.out.pop_front() else {
            panic!("{frame} was accepted");
        };
        let named: Vec<_> = error.fields.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(named, pointer.as_slice(), "{frame}: {error:?}");
    }
}

#[test]
fn acks_are_encoded_as_their_type_declares() {
    let message = json!({
        "seq": 1, "from": "alice", "to": "bob", "id": "01a1f949-c4a3-7102-9444-9bcd871e2754",
        "sent_at": "2026-01-31T12:00:00.000Z", "body": "hi", "metadata": {"b": 1, "a": 0.1},
    });
    let conversation = json!({
        "peer": "bob", "last_message": message, "unread_count": 0, "last_seq": 1, "read_seq": 1,
        "peer_read_seq": 0, "peer_delivered_seq": 0, "muted": false, "muted_until": null, "blocked": false,
        "archived": false, "pinned": false, "metadata": null,
        "updated_at": "2026-01-31T12:00:00.000Z",
    });
    let parsed = ClientMessage::parse(r#"{"type":"ping","ref":"\"1"}"#).unwrap();
    let reference = parsed.reference.unwrap();
    for json in [
        Ack::json(Some(&reference)),
        Ack::json_with_message(Some(&reference), &message.to_string(), true),
        Ack::json_with_conversation(Some(&reference), &conversation.to_string()),
    ] {
        let ack: ServerMessage = serde_json::from_str(&json).unwrap();
        assert!(matches!(ack, ServerMessage::Ack(_)), "{json}");
        assert_eq!(ack.to_json(), json);
    }
}

#[test]
fn a_message_of_a_later_version_is_read() {
    let message = json!({
        "seq": 1, "from": "alice", "to": "bob", "id": "01a1f949-c4a3-7102-9444-9bcd871e2754",
        "sent_at": "2026-01-31T12:00:00.000Z", "body": "hi", "later": 1,
        "attachments": [{"url": "https://files.example.com/1", "later": {"x": [1]}}],
        "reactions": {"later": ["bob"]},
    });
    let ack = json!({"type": "ack", "ref": "1", "message": message, "later": true});
    let event = json!({
        "type": "message.created", "cursor": "7-1", "prev": "7-0", "peer": "alice", "later": 1,
        "unread_count": 1, "last_seq": 1, "read_seq": 0, "peer_read_seq": 0,
        "peer_delivered_seq": 0, "total_unread_count": 1, "unread_conversations": 1,
        "muted_unread_count": 0, "message": message,
    });
    let read = |json: &Value| serde_json::from_str(&json.to_string()).unwrap();
    assert!(matches!(read(&ack), ServerMessage::Ack(_)));
    let event = read(&event);
    let ServerMessage::Event(Event::MessageCreated(created)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(created.message.attachments.len(), 1);
}

#[test]
fn an_event_of_an_unknown_type_is_read_as_unknown() {
    let event = r#"{"type":"message.pinned","cursor":"7-1","peer":"bob"}"#;
    let event: ServerMessage = serde_json::from_str(event).unwrap();
    assert!(matches!(event, ServerMessage::Event(Event::Unknown)));
}
