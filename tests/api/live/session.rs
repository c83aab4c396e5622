//! The live session as a state machine, tested without a socket.

use std::sync::Arc;

use duologue::error::Code;
use duologue::protocol::{CloseReason, Cursor, Event, Notification, RawEvent, RawEventPage};
use duologue::realtime::{CommandResult, Input};
use serde_json::json;

use crate::harness::live::test_session::{Action, NOON, TestSession, page, published, text, user};

#[test]
fn a_session_begins_with_its_cursor() {
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
        "101 was published and is not in the page"
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
    let page = RawEventPage {
        events,
        next: Cursor::new(8, 5),
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
        "not sent while the journal is read"
    );
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
fn an_expired_token_ends_the_session_unless_refreshed() {
    let beat = || Input::Notification(Notification::Heartbeat);
    let mut session = TestSession::open(None, Some(NOON + 10));
    let [Action::Hello(hello)] = &session.actions()[..] else {
        panic!("no hello");
    };
    assert_eq!(hello["token_expires_at"], "2026-01-16T12:00:10.000Z");
    assert_eq!(session.handle_at(beat(), NOON + 9), [Action::Ping]);
    let fresh = Input::Executed(None, Ok(CommandResult::Renewed(Some(NOON + 99))));
    assert_eq!(session.handle(fresh), [Action::ExpireAt(Some(NOON + 99))]);
    session.handle(Input::Activity);
    assert_eq!(session.handle_at(beat(), NOON + 10), [Action::Ping]);
    let end = session.handle_at(beat(), NOON + 99);
    assert_eq!(end, [Action::Close(CloseReason::TokenExpired)]);
}

#[test]
fn a_closed_session_states_its_reason() {
    for why in [CloseReason::Restart, CloseReason::SlowConsumer] {
        let told = TestSession::live().handle(Input::Notification(Notification::Close(why)));
        assert_eq!(told, [Action::Close(why)]);
    }
}
