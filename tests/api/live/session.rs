//! The live session as a state machine, tested without a socket.

use std::collections::VecDeque;
use std::sync::Arc;

use duologue::error::Code;
use duologue::model::{UnreadTotals, UserId};
use duologue::protocol::{
    Ack, ClientMessage, CloseReason, Command, Cursor, Event, EventPage, Notification, RawEvent,
    ServerMessage, StreamState,
};
use duologue::realtime::{CommandResult, Input, Outgoing, Output, Session};
use serde_json::{Value, json};

/// A time at which nothing expires.
const NOON: i64 = 1_768_564_800;

/// The outputs of a session, with events as numbers.
#[derive(Debug, PartialEq)]
enum Action {
    Hello(Value),
    Event(u64),
    Frame(Value),
    Refusal(Code),
    Read(u64),
    ReadLater(u64),
    SendMessage(String),
    OtherCommand,
    Ping,
    ExpireAt(Option<i64>),
    Close(CloseReason),
}

struct TestSession {
    session: Session,
    out: VecDeque<Output>,
}

fn user(id: &str) -> UserId {
    UserId::try_from(id.to_owned()).unwrap()
}

/// A journaled event after another.
fn event(prev: u64, offset: u64) -> RawEvent {
    let text = json!({"type": "message.created", "cursor": format!("7-{offset}"), "prev": format!("7-{prev}")});
    RawEvent::parse(text.to_string()).unwrap()
}

fn published(prev: u64, offset: u64) -> Input {
    Input::Notification(Notification::Event(Arc::new(event(prev, offset))))
}

fn page(events: &[(u64, u64)], more: bool) -> Input {
    let events = events.iter().map(|(prev, offset)| event(*prev, *offset));
    Input::Page(Ok(EventPage {
        events: events.collect(),
        more,
    }))
}

fn text(frame: &Value) -> Input {
    Input::Text(frame.to_string())
}

impl TestSession {
    /// A session of alice, whose stream is at 100, resumed after an offset.
    fn resumed(resume: Option<u64>) -> Self {
        let state = StreamState {
            cursor: Cursor::new(7, 100),
            totals: UnreadTotals {
                total_unread_count: 3,
                unread_conversations: 2,
                muted_unread_count: 1,
            },
        };
        let mut out = VecDeque::new();
        let resume = resume.map(|offset| Cursor::new(7, offset));
        let session = Session::open(&user("alice"), state, resume, 25, &mut out);
        Self { session, out }
    }

    /// A session that has sent `hello` and is up to date.
    fn live() -> Self {
        let mut session = Self::resumed(None);
        assert!(matches!(session.actions()[..], [Action::Hello(_)]));
        session
    }

    fn handle(&mut self, input: Input) -> Vec<Action> {
        self.handle_at(input, NOON)
    }

    fn handle_at(&mut self, input: Input, now: i64) -> Vec<Action> {
        self.session.handle(input, now, &mut self.out);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        self.out.drain(..).map(action).collect()
    }
}

fn action(output: Output) -> Action {
    let number = |cursor: Cursor| cursor.parts()[1].parse().unwrap();
    match output {
        Output::Send(Outgoing::Event(event)) => Action::Event(number(event.cursor().unwrap())),
        Output::Send(Outgoing::Message { json, .. }) => {
            match serde_json::from_str::<Value>(&json).unwrap() {
                hello if hello["type"] == "hello" => Action::Hello(hello),
                said => Action::Frame(said),
            }
        }
        Output::Send(Outgoing::Refusal(_, error)) => Action::Refusal(error.code),
        Output::Send(Outgoing::Ping) => Action::Ping,
        Output::Send(Outgoing::Close(why)) => Action::Close(why),
        Output::Read(place) => Action::Read(number(place)),
        Output::ReadLater(place) => Action::ReadLater(number(place)),
        Output::Execute(_, Command::Send(outgoing)) => {
            let (message, key) = (outgoing.message, outgoing.idempotency_key);
            let key = key.map(|key| key.as_str().to_owned());
            Action::SendMessage(format!("{} {}", message.to, key.unwrap_or_default()))
        }
        Output::Execute(..) => Action::OtherCommand,
        Output::ExpireAt(until) => Action::ExpireAt(until),
    }
}

#[test]
fn a_sessionbegins_with_its_cursor() {
    let hello = |cursor: &str| {
        json!({"type": "hello", "user": "alice", "cursor": cursor, "total_unread_count": 3,
            "unread_conversations": 2, "muted_unread_count": 1, "heartbeat_s": 25})
    };
    assert_eq!(
        TestSession::resumed(None).actions(),
        [Action::Hello(hello("7-100"))]
    );
    // The client's cursor and not the newest one: it has not received the events in between.
    let resumed = TestSession::resumed(Some(90)).actions();
    assert_eq!(resumed, [Action::Hello(hello("7-90")), Action::Read(90)]);
}

#[test]
fn events_pass_in_order_exactly_once() {
    let mut session = TestSession::live();
    assert_eq!(session.handle(published(100, 101)), [Action::Event(101)]);
    assert_eq!(session.handle(published(101, 102)), [Action::Event(102)]);
    assert_eq!(session.handle(published(101, 102)), [], "twice");
    assert_eq!(session.handle(published(100, 101)), [], "late");
    assert_eq!(
        session.handle(published(103, 104)),
        [Action::Read(102)],
        "a gap"
    );
    assert_eq!(
        session.handle(published(104, 105)),
        [],
        "the journal has it"
    );
    let read = session.handle(page(&[(102, 103), (103, 104), (104, 105)], false));
    assert_eq!(read, [103, 104, 105].map(Action::Event));
    assert_eq!(session.handle(published(105, 106)), [Action::Event(106)]);
}

#[test]
fn events_beyond_the_page_read_are_read_next() {
    let mut session = TestSession::resumed(Some(90));
    session.actions();
    assert_eq!(session.handle(published(100, 101)), []);
    assert_eq!(
        session.handle(page(&[(90, 95)], true)),
        [Action::Event(95), Action::Read(95)]
    );
    assert_eq!(
        session.handle(page(&[(95, 100)], false)),
        [Action::Event(100), Action::Read(100)],
        "101 was heard and not read"
    );
    assert_eq!(
        session.handle(page(&[(100, 101)], false)),
        [Action::Event(101)]
    );
    assert_eq!(session.handle(published(101, 102)), [Action::Event(102)]);
}

#[test]
fn a_journal_that_never_catches_up_is_not_read_forever() {
    let mut session = TestSession::live();
    assert_eq!(session.handle(published(150, 151)), [Action::Read(100)]);
    assert_eq!(session.handle(published(151, 152)), []);
    assert_eq!(session.handle(page(&[], false)), [Action::Read(100)]);
    assert_eq!(session.handle(page(&[], false)), []);
    assert_eq!(session.handle(published(152, 153)), [Action::Read(100)]);
}

#[test]
fn a_gap_during_a_journal_read_causes_another_read() {
    let mut session = TestSession::live();
    assert_eq!(
        session.handle(Input::Notification(Notification::Gap)),
        [Action::Read(100)]
    );
    assert_eq!(session.handle(Input::Notification(Notification::Gap)), []);
    assert_eq!(session.handle(page(&[], false)), [Action::Read(100)]);
    assert_eq!(session.handle(page(&[], false)), []);
}

#[test]
fn a_failed_journal_read_is_retried_from_its_cursor() {
    let mut session = TestSession::resumed(Some(90));
    session.actions();
    assert_eq!(
        session.handle(page(&[(90, 91)], true)),
        [Action::Event(91), Action::Read(91)]
    );
    let failed = Input::Page(Err(Code::Unavailable.into()));
    assert_eq!(session.handle(failed), [Action::ReadLater(91)]);
}

#[test]
fn a_reset_switches_to_the_new_stream() {
    let mut session = TestSession::live();
    let other = json!({"type": "message.created", "cursor": "8-5", "prev": "8-4"});
    let other = RawEvent::parse(other.to_string()).unwrap();
    let other = Input::Notification(Notification::Event(Arc::new(other)));
    assert_eq!(session.handle(other), [Action::Read(100)]);
    let reset = RawEvent::parse(json!({"type": "reset", "cursor": "8-5"}).to_string()).unwrap();
    let events = vec![reset];
    let page = EventPage {
        events,
        more: false,
    };
    assert_eq!(session.handle(Input::Page(Ok(page))), [Action::Event(5)]);
    let next = json!({"type": "message.created", "cursor": "8-6", "prev": "8-5"});
    let next = RawEvent::parse(next.to_string()).unwrap();
    let next = Input::Notification(Notification::Event(Arc::new(next)));
    assert_eq!(session.handle(next), [Action::Event(6)]);
}

#[test]
fn ephemeral_events_carry_the_current_cursor() {
    let typing = || {
        let event = RawEvent::parse(Event::typing(user("bob")).to_json()).unwrap();
        Input::Notification(Notification::Event(Arc::new(event)))
    };
    let mut session = TestSession::live();
    let said = json!({"type": "typing", "cursor": "7-100", "peer": "bob"});
    assert_eq!(session.handle(typing()), [Action::Frame(said)]);
    session.handle(published(150, 151));
    assert_eq!(
        session.handle(typing()),
        [],
        "who reads has other things to hear"
    );
}

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
        "nobody asked"
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
            panic!("{frame} was taken");
        };
        let named: Vec<_> = error.fields.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(named, pointer.as_slice(), "{frame}: {error:?}");
    }
}

#[test]
fn a_client_silent_for_two_heartbeats_is_closed() {
    let beat = || Input::Notification(Notification::Heartbeat);
    let mut session = TestSession::live();
    assert_eq!(session.handle(beat()), [Action::Ping]);
    assert_eq!(session.handle(Input::Activity), []);
    assert_eq!(session.handle(beat()), [Action::Ping]);
    assert_eq!(
        session.handle(beat()),
        [Action::Close(CloseReason::Unresponsive)]
    );
    // A client that waits for the service is not read, and not timed out.
    let mut session = TestSession::live();
    let read = json!({"type": "read", "ref": "r", "peer": "bob", "seq": 3});
    assert_eq!(session.handle(text(&read)), [Action::OtherCommand]);
    for _ in 0..3 {
        assert_eq!(session.handle(beat()), [Action::Ping]);
    }
    session.handle(Input::Executed(None, Ok(CommandResult::Done)));
    assert_eq!(session.handle(beat()), [Action::Ping]);
    assert_eq!(
        session.handle(beat()),
        [Action::Close(CloseReason::Unresponsive)]
    );
    // A client that only listens cannot answer.
    let mut session = TestSession::live();
    session.session = session.session.one_way();
    for _ in 0..3 {
        assert_eq!(session.handle(beat()), [Action::Ping]);
    }
}

#[test]
fn an_expired_token_ends_the_sessionunless_refreshed() {
    let beat = || Input::Notification(Notification::Heartbeat);
    let mut session = TestSession::live();
    session.session = session.session.until(Some(NOON + 10));
    assert_eq!(session.handle_at(beat(), NOON + 9), [Action::Ping]);
    let fresh = Input::Executed(None, Ok(CommandResult::Renewed(Some(NOON + 99))));
    assert_eq!(session.handle(fresh), [Action::ExpireAt(Some(NOON + 99))]);
    session.handle(Input::Activity);
    assert_eq!(session.handle_at(beat(), NOON + 10), [Action::Ping]);
    let end = session.handle_at(beat(), NOON + 99);
    assert_eq!(end, [Action::Close(CloseReason::TokenExpired)]);
}

#[test]
fn a_closed_sessionstates_its_reason() {
    for why in [CloseReason::Restart, CloseReason::SlowConsumer] {
        let told = TestSession::live().handle(Input::Notification(Notification::Close(why)));
        assert_eq!(told, [Action::Close(why)]);
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
        "peer_read_seq": 0, "peer_delivered_seq": 0, "muted": false, "blocked": false,
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
fn an_event_of_an_unknown_type_is_read_as_unknown() {
    let event = r#"{"type":"message.pinned","cursor":"7-1","peer":"bob"}"#;
    let event: ServerMessage = serde_json::from_str(event).unwrap();
    assert!(matches!(event, ServerMessage::Event(Event::Unknown)));
}
