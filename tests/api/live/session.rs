//! The live session as a state machine, tested without a socket.

use std::collections::VecDeque;
use std::sync::Arc;

use duologue::error::Code;
use duologue::model::{UnreadTotals, UserId};
use duologue::protocol::{CloseReason, Command, Notification};
use duologue::protocol::{Cursor, Event, EventPage, StreamState};
use duologue::realtime::{CommandResult, Input, Output, ServerMessage, Session};
use serde_json::{Value, json};

/// A time at which nothing expires.
const NOON: i64 = 1_768_564_800;

/// The outputs of a session, with events as numbers.
#[derive(Debug, PartialEq)]
enum Does {
    Hello(Value),
    Tells(u64),
    Says(Value),
    Refuses(Code),
    Reads(u64),
    ReadsLater(u64),
    Sends(String),
    Marks,
    Pings,
    EndsThen(Option<i64>),
    Leaves(CloseReason),
}

struct Play {
    session: Session,
    out: VecDeque<Output>,
}

fn user(id: &str) -> UserId {
    UserId::try_from(id.to_owned()).unwrap()
}

/// A journaled event after another.
fn event(prev: u64, offset: u64) -> Event {
    let text = json!({"type": "message.created", "cursor": format!("7-{offset}"), "prev": format!("7-{prev}")});
    Event::parse(text.to_string()).unwrap()
}

fn heard(prev: u64, offset: u64) -> Input {
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

impl Play {
    /// A session of alice, whose stream is at 100, resumed after an offset.
    fn resumed(resume: Option<u64>) -> Self {
        let state = StreamState {
            cursor: Cursor::new(7, 100),
            totals: UnreadTotals {
                total_unread_count: 3,
                unread_conversations: 2,
            },
        };
        let mut out = VecDeque::new();
        let resume = resume.map(|offset| Cursor::new(7, offset));
        let session = Session::open(&user("alice"), state, resume, 25, &mut out);
        Self { session, out }
    }

    /// A session that has sent `hello` and is up to date.
    fn live() -> Self {
        let mut play = Self::resumed(None);
        assert!(matches!(play.done()[..], [Does::Hello(_)]));
        play
    }

    fn happens(&mut self, input: Input) -> Vec<Does> {
        self.happens_at(input, NOON)
    }

    fn happens_at(&mut self, input: Input, now: i64) -> Vec<Does> {
        self.session.take(input, now, &mut self.out);
        self.done()
    }

    fn done(&mut self) -> Vec<Does> {
        self.out.drain(..).map(short).collect()
    }
}

fn short(output: Output) -> Does {
    let number = |cursor: Cursor| cursor.parts()[1].parse().unwrap();
    match output {
        Output::ServerMessage(ServerMessage::Event(event)) => {
            Does::Tells(number(event.cursor().unwrap()))
        }
        Output::ServerMessage(ServerMessage::Say { text, .. }) => {
            match serde_json::from_str::<Value>(&text).unwrap() {
                hello if hello["type"] == "hello" => Does::Hello(hello),
                said => Does::Says(said),
            }
        }
        Output::ServerMessage(ServerMessage::Refuse(_, error)) => Does::Refuses(error.code),
        Output::ServerMessage(ServerMessage::Ping) => Does::Pings,
        Output::ServerMessage(ServerMessage::Leave(why)) => Does::Leaves(why),
        Output::Read(place) => Does::Reads(number(place)),
        Output::ReadLater(place) => Does::ReadsLater(number(place)),
        Output::Do(_, Command::Send(message, key)) => {
            let key = key.map(|key| key.as_str().to_owned());
            Does::Sends(format!("{} {}", message.to, key.unwrap_or_default()))
        }
        Output::Do(..) => Does::Marks,
        Output::Until(until) => Does::EndsThen(until),
    }
}

#[test]
fn a_session_begins_with_its_cursor() {
    let hello = |cursor: &str| {
        json!({"type": "hello", "user": "alice", "cursor": cursor, "total_unread_count": 3,
            "unread_conversations": 2, "heartbeat_s": 25})
    };
    assert_eq!(Play::resumed(None).done(), [Does::Hello(hello("7-100"))]);
    // The client's cursor and not the newest one: it has not received the events in between.
    let resumed = Play::resumed(Some(90)).done();
    assert_eq!(resumed, [Does::Hello(hello("7-90")), Does::Reads(90)]);
}

#[test]
fn events_pass_in_order_exactly_once() {
    let mut play = Play::live();
    assert_eq!(play.happens(heard(100, 101)), [Does::Tells(101)]);
    assert_eq!(play.happens(heard(101, 102)), [Does::Tells(102)]);
    assert_eq!(play.happens(heard(101, 102)), [], "twice");
    assert_eq!(play.happens(heard(100, 101)), [], "late");
    assert_eq!(play.happens(heard(103, 104)), [Does::Reads(102)], "a gap");
    assert_eq!(play.happens(heard(104, 105)), [], "the journal has it");
    let read = play.happens(page(&[(102, 103), (103, 104), (104, 105)], false));
    assert_eq!(read, [103, 104, 105].map(Does::Tells));
    assert_eq!(play.happens(heard(105, 106)), [Does::Tells(106)]);
}

#[test]
fn events_beyond_the_page_read_are_read_next() {
    let mut play = Play::resumed(Some(90));
    play.done();
    assert_eq!(play.happens(heard(100, 101)), []);
    assert_eq!(
        play.happens(page(&[(90, 95)], true)),
        [Does::Tells(95), Does::Reads(95)]
    );
    assert_eq!(
        play.happens(page(&[(95, 100)], false)),
        [Does::Tells(100), Does::Reads(100)],
        "101 was heard and not read"
    );
    assert_eq!(play.happens(page(&[(100, 101)], false)), [Does::Tells(101)]);
    assert_eq!(play.happens(heard(101, 102)), [Does::Tells(102)]);
}

#[test]
fn a_journal_that_never_catches_up_is_not_read_forever() {
    let mut play = Play::live();
    assert_eq!(play.happens(heard(150, 151)), [Does::Reads(100)]);
    assert_eq!(play.happens(heard(151, 152)), []);
    assert_eq!(play.happens(page(&[], false)), [Does::Reads(100)]);
    assert_eq!(play.happens(page(&[], false)), []);
    assert_eq!(play.happens(heard(152, 153)), [Does::Reads(100)]);
}

#[test]
fn a_gap_during_a_journal_read_causes_another_read() {
    let mut play = Play::live();
    assert_eq!(
        play.happens(Input::Notification(Notification::Gap)),
        [Does::Reads(100)]
    );
    assert_eq!(play.happens(Input::Notification(Notification::Gap)), []);
    assert_eq!(play.happens(page(&[], false)), [Does::Reads(100)]);
    assert_eq!(play.happens(page(&[], false)), []);
}

#[test]
fn a_failed_journal_read_is_retried_from_its_cursor() {
    let mut play = Play::resumed(Some(90));
    play.done();
    assert_eq!(
        play.happens(page(&[(90, 91)], true)),
        [Does::Tells(91), Does::Reads(91)]
    );
    let failed = Input::Page(Err(Code::Unavailable.into()));
    assert_eq!(play.happens(failed), [Does::ReadsLater(91)]);
}

#[test]
fn a_reset_switches_to_the_new_stream() {
    let mut play = Play::live();
    let other = json!({"type": "message.created", "cursor": "8-5", "prev": "8-4"});
    let other = Event::parse(other.to_string()).unwrap();
    let other = Input::Notification(Notification::Event(Arc::new(other)));
    assert_eq!(play.happens(other), [Does::Reads(100)]);
    let reset = Event::parse(json!({"type": "reset", "cursor": "8-5"}).to_string()).unwrap();
    let events = vec![reset];
    let page = EventPage {
        events,
        more: false,
    };
    assert_eq!(play.happens(Input::Page(Ok(page))), [Does::Tells(5)]);
    let next = json!({"type": "message.created", "cursor": "8-6", "prev": "8-5"});
    let next = Event::parse(next.to_string()).unwrap();
    let next = Input::Notification(Notification::Event(Arc::new(next)));
    assert_eq!(play.happens(next), [Does::Tells(6)]);
}

#[test]
fn ephemeral_events_carry_the_current_cursor() {
    let typing = || {
        let event = Event::parse(Event::typing(&user("bob"))).unwrap();
        Input::Notification(Notification::Event(Arc::new(event)))
    };
    let mut play = Play::live();
    let said = json!({"type": "typing", "cursor": "7-100", "peer": "bob"});
    assert_eq!(play.happens(typing()), [Does::Says(said)]);
    play.happens(heard(150, 151));
    assert_eq!(
        play.happens(typing()),
        [],
        "who reads has other things to hear"
    );
}

#[test]
fn commands_are_answered_with_their_ref() {
    let mut play = Play::live();
    let send =
        json!({"type": "send", "ref": "1", "to": "bob", "body": "hi", "idempotency_key": "k"});
    assert_eq!(play.happens(text(&send)), [Does::Sends("bob k".into())]);
    assert_eq!(
        play.happens(text(
            &json!({"type": "read", "ref": "r", "peer": "bob", "seq": 3})
        )),
        [Does::Marks]
    );
    assert_eq!(
        play.happens(text(&json!({"type": "ping", "ref": "\"2"}))),
        [Does::Says(json!({"type": "ack", "ref": "\"2"}))]
    );
    assert_eq!(
        play.happens(text(&json!({"type": "ping"}))),
        [],
        "nobody asked"
    );
    let done = Ok(CommandResult::Sent {
        message: r#"{"seq":1}"#.into(),
        replayed: true,
    });
    assert_eq!(
        play.happens(Input::Executed(None, done)),
        [],
        "nobody asked"
    );
    let failed = Input::Executed(None, Err(Code::Blocked.into()));
    assert_eq!(play.happens(failed), [Does::Refuses(Code::Blocked)]);
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
        let mut play = Play::live();
        play.session
            .take(Input::Text((*frame).to_owned()), NOON, &mut play.out);
        let Some(Output::ServerMessage(ServerMessage::Refuse(_, error))) = play.out.pop_front()
        else {
            panic!("{frame} was taken");
        };
        let named: Vec<_> = error.fields.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(named, pointer.as_slice(), "{frame}: {error:?}");
    }
}

#[test]
fn a_client_silent_for_two_heartbeats_is_closed() {
    let beat = || Input::Notification(Notification::Heartbeat);
    let mut play = Play::live();
    assert_eq!(play.happens(beat()), [Does::Pings]);
    assert_eq!(play.happens(Input::Sign), []);
    assert_eq!(play.happens(beat()), [Does::Pings]);
    assert_eq!(play.happens(beat()), [Does::Leaves(CloseReason::Silent)]);
    // A client that waits for the service is not read, and not timed out.
    let mut play = Play::live();
    let read = json!({"type": "read", "ref": "r", "peer": "bob", "seq": 3});
    assert_eq!(play.happens(text(&read)), [Does::Marks]);
    for _ in 0..3 {
        assert_eq!(play.happens(beat()), [Does::Pings]);
    }
    play.happens(Input::Executed(None, Ok(CommandResult::Told)));
    assert_eq!(play.happens(beat()), [Does::Pings]);
    assert_eq!(play.happens(beat()), [Does::Leaves(CloseReason::Silent)]);
    // A client that only listens cannot answer.
    let mut play = Play::live();
    play.session = play.session.one_way();
    for _ in 0..3 {
        assert_eq!(play.happens(beat()), [Does::Pings]);
    }
}

#[test]
fn an_expired_token_ends_the_session_unless_refreshed() {
    let beat = || Input::Notification(Notification::Heartbeat);
    let mut play = Play::live();
    play.session = play.session.until(Some(NOON + 10));
    assert_eq!(play.happens_at(beat(), NOON + 9), [Does::Pings]);
    let fresh = Input::Executed(None, Ok(CommandResult::Until(Some(NOON + 99))));
    assert_eq!(play.happens(fresh), [Does::EndsThen(Some(NOON + 99))]);
    play.happens(Input::Sign);
    assert_eq!(play.happens_at(beat(), NOON + 10), [Does::Pings]);
    let end = play.happens_at(beat(), NOON + 99);
    assert_eq!(end, [Does::Leaves(CloseReason::TokenExpired)]);
}

#[test]
fn a_closed_session_states_its_reason() {
    for why in [CloseReason::Restart, CloseReason::SlowConsumer] {
        let told = Play::live().happens(Input::Notification(Notification::Leave(why)));
        assert_eq!(told, [Does::Leaves(why)]);
    }
}
