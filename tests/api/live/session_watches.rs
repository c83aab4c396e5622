//! Rooms that a live session watches, tested without a socket.

use duologue::error::Code;
use duologue::protocol::{Notification, RawRoomEvent, RoomEvent};
use duologue::realtime::Input;
use serde_json::json;

use crate::harness::live::room_watch::{
    acknowledged, cursor, message_in, published_in, read, room, room_event, room_page, said_in,
    watched,
};
use crate::harness::live::test_session::{Action, TestSession, page, published, text, user};

fn told(versions: impl IntoIterator<Item = u64>) -> Vec<Action> {
    let versions = versions.into_iter();
    versions
        .map(|version| Action::RoomEvent("general".to_owned(), version))
        .collect()
}

fn reads(after: u64) -> Action {
    Action::ReadRoom("general".to_owned(), after)
}

#[test]
fn events_of_a_room_pass_in_order_exactly_once() {
    let mut session = TestSession::live();
    session.watch("general");
    assert_eq!(session.handle(said_in("general", 100, 101)), told([101]));
    assert_eq!(session.handle(said_in("general", 100, 101)), [], "twice");
    assert_eq!(
        session.handle(said_in("other", 100, 101)),
        [],
        "not watched"
    );
    assert_eq!(
        session.handle(said_in("general", 102, 103)),
        [reads(101)],
        "a gap"
    );
    assert_eq!(
        session.handle(said_in("general", 103, 104)),
        [],
        "it is in the stream"
    );
    let events = room_page("general", &[(101, 102), (102, 103), (103, 104)], 104, false);
    assert_eq!(
        session.handle(read("general", 101, events)),
        told([102, 103, 104])
    );
    assert_eq!(session.handle(said_in("general", 104, 105)), told([105]));
}

#[test]
fn what_is_published_while_a_watch_begins_is_read_next() {
    let mut session = TestSession::live();
    let asked = session.ask_to_watch("general", Some(90));
    assert_eq!(asked, [Action::Watch("general".to_owned(), Some(90))]);
    assert_eq!(session.handle(said_in("general", 100, 101)), []);
    let mut expected = vec![acknowledged(90)];
    expected.extend(told([95, 100]));
    expected.push(reads(100));
    let events = room_page("general", &[(90, 95), (95, 100)], 100, false);
    assert_eq!(session.handle(watched("general", events)), expected);
    let events = room_page("general", &[(100, 101)], 101, false);
    assert_eq!(session.handle(read("general", 100, events)), told([101]));
}

#[test]
fn a_long_gap_is_read_page_by_page() {
    let mut session = TestSession::live();
    session.ask_to_watch("general", Some(90));
    let first = room_page("general", &[(90, 95)], 95, true);
    let mut expected = vec![acknowledged(90)];
    expected.extend(told([95]));
    expected.push(reads(95));
    assert_eq!(session.handle(watched("general", first)), expected);
    let second = room_page("general", &[(95, 96)], 96, true);
    let mut expected = told([96]);
    expected.push(reads(96));
    assert_eq!(session.handle(read("general", 95, second)), expected);
    let last = room_page("general", &[(96, 97)], 97, false);
    assert_eq!(session.handle(read("general", 96, last)), told([97]));
}

#[test]
fn a_refused_watch_shows_nothing_of_the_room() {
    let mut session = TestSession::live();
    session.ask_to_watch("general", None);
    assert_eq!(session.handle(said_in("general", 100, 101)), []);
    let refused = Input::Watched(None, room("general"), Err(Code::RoomNotFound.into()));
    let expected = [
        Action::Unwatch("general".to_owned()),
        Action::Refusal(Code::RoomNotFound),
    ];
    assert_eq!(session.handle(refused), expected);
    assert_eq!(session.handle(said_in("general", 101, 102)), []);
}

#[test]
fn rooms_are_read_one_after_another_after_a_gap() {
    let mut session = TestSession::live();
    session.watch("general");
    session.watch("random");
    let gap = session.handle(Input::Notification(Notification::Gap));
    assert_eq!(gap, [Action::Read(100), reads(100)]);
    let random = Action::ReadRoom("random".to_owned(), 100);
    let events = room_page("general", &[(100, 101)], 101, false);
    let mut expected = told([101]);
    expected.push(random);
    assert_eq!(session.handle(read("general", 100, events)), expected);
    // The stream of the user is not affected.
    assert_eq!(session.handle(page(&[], false)), []);
    assert_eq!(session.handle(published(100, 101)), [Action::Event(101)]);
    let failed = Input::RoomPage(room("random"), cursor(100), Err(Code::Unavailable.into()));
    let later = Action::ReadRoomLater("random".to_owned(), 100);
    assert_eq!(session.handle(failed), [later]);
    assert_eq!(session.handle(said_in("general", 101, 102)), told([102]));
    let events = room_page("random", &[], 100, false);
    assert_eq!(session.handle(read("random", 100, events)), []);
}

#[test]
fn a_page_that_was_read_for_an_earlier_watch_is_not_sent() {
    let mut session = TestSession::live();
    session.watch("general");
    assert_eq!(session.handle(said_in("general", 101, 102)), [reads(100)]);
    let unwatch = session.handle(text(
        &json!({"type": "unwatch", "ref": "u", "room": "general"}),
    ));
    let expected = [
        Action::Unwatch("general".to_owned()),
        Action::Frame(json!({"type": "ack", "ref": "u"})),
    ];
    assert_eq!(unwatch, expected);
    session.ask_to_watch("general", None);
    let events = room_page("general", &[(100, 101), (101, 102)], 102, false);
    assert_eq!(session.handle(read("general", 100, events)), []);
    let opened = session.handle(watched("general", room_page("general", &[], 102, false)));
    assert_eq!(opened, [acknowledged(102)]);
    assert_eq!(session.handle(said_in("general", 102, 103)), told([103]));
}

#[test]
fn a_watcher_who_may_have_lost_access_asks_the_store() {
    let cases = [
        ("room.left", json!({"user": "alice"})),
        ("room.left", json!({})),
        ("conversation.changed", json!({"user": "alice"})),
        ("conversation.changed", json!({})),
    ];
    for (kind, about) in cases {
        let mut session = TestSession::live();
        session.watch("general");
        let event = || published_in(room_event("general", kind, 100, 101, &about));
        assert_eq!(session.handle(event()), [reads(100)], "{kind} {about}");
        assert_eq!(
            session.handle(said_in("general", 101, 102)),
            [],
            "not sent before"
        );
        let denied = Input::RoomPage(room("general"), cursor(100), Err(Code::NotAMember.into()));
        let expected = [
            Action::Unwatch("general".to_owned()),
            Action::Unwatched("general".to_owned(), Code::NotAMember),
        ];
        assert_eq!(session.handle(denied), expected);
        assert_eq!(session.handle(said_in("general", 102, 103)), []);
    }
}

#[test]
fn an_event_about_somebody_else_is_passed_on() {
    let mut session = TestSession::live();
    session.watch("general");
    let bob = json!({"user": "bob"});
    for (version, kind) in (101..).zip(["room.joined", "conversation.changed", "room.left"]) {
        let event = room_event("general", kind, version - 1, version, &bob);
        assert_eq!(session.handle(published_in(event)), told([version]));
    }
}

#[test]
fn a_hidden_message_becomes_a_change_of_the_room() {
    let mut session = TestSession::live();
    session.ask_to_watch("general", None);
    let mut empty = room_page("general", &[], 100, false);
    empty.hidden_up_to = 50;
    session.handle(watched("general", empty));
    let edit = |seq: u64, prev, version| {
        let message = json!({"message": {"seq": seq, "body": "secret"}});
        published_in(room_event(
            "general",
            "message.updated",
            prev,
            version,
            &message,
        ))
    };
    let changed = json!({"type": "conversation.changed", "room": "general",
        "cursor": cursor(101), "prev": cursor(100)});
    assert_eq!(session.handle(edit(50, 100, 101)), [Action::Frame(changed)]);
    assert_eq!(session.handle(edit(51, 101, 102)), told([102]));
}

#[test]
fn typing_in_a_room_is_told_to_all_but_the_typist() {
    let typing = |id: &str| {
        let event = RoomEvent::typing(room("general"), user(id)).to_json();
        published_in(RawRoomEvent::parse(&room("general"), event).unwrap())
    };
    let mut session = TestSession::live();
    session.watch("general");
    let said = json!({"type": "typing", "room": "general", "cursor": cursor(100), "user": "bob"});
    assert_eq!(session.handle(typing("bob")), [Action::Frame(said)]);
    assert_eq!(session.handle(typing("alice")), []);
    session.handle(published_in(message_in("general", 150, 151)));
    assert_eq!(
        session.handle(typing("bob")),
        [],
        "not while the room is read"
    );
}

#[test]
fn a_connection_watches_at_most_64_rooms() {
    let mut session = TestSession::live();
    for number in 0..64 {
        session.watch(&format!("room-{number}"));
    }
    let refused = [Action::Refusal(Code::TooManyRooms)];
    assert_eq!(session.ask_to_watch("another", None), refused);
    // One of them again is not another one.
    session.watch("room-7");
    session.handle(text(&json!({"type": "unwatch", "room": "room-7"})));
    session.watch("another");
}
