//! Rooms in the messenger page, in Chromium: beside people, across an outage, with their members.

use serde_json::json;

use crate::harness::page::browser::Browser;
use crate::harness::page::restartable_service::RestartableService;
use crate::harness::page::window::{SEQS, TEXTS, Window};
use crate::harness::{TestApp, spawn_app};

/// A window of a user who has joined a room.
fn join<'a>(browser: &'a Browser, address: &str, user: &str, room: &str) -> Window<'a> {
    let window = browser.open(address);
    window.sign_in(user);
    window.start_conversation(&format!("#{room}"));
    window.wait_visible("#composer");
    window.wait_visible("#show-room");
    window
}

#[test]
fn two_windows_in_two_rooms_lose_nothing_across_an_outage() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = RestartableService::start();
    let [alice, bob] = ["alice", "bob"].map(|user| {
        let window = join(&browser, &service.address, user, "general");
        window.start_conversation("#random");
        window
    });
    bob.send("Hello");
    alice.wait_for_text("[data-key='1'] .author", "bob");
    bob.wait_visible("[data-key='1'] .tick.sent");
    alice.open_row("room:general");

    // The service is killed before the sender learns whether this message was stored.
    alice.send("zero");
    service.kill();
    for window in [&alice, &bob] {
        window.wait_for_text("#connection", "Reconnecting");
    }
    alice.send("one");
    alice.send("two");
    bob.send("three");
    bob.open_row("room:general");
    bob.send("four");
    bob.set_network(false);
    service.restart();
    // Bob is offline, so he receives what Alice sends now only by resuming from his cursor.
    alice.wait_connected();
    alice.wait_hidden(".tick.pending");
    bob.set_network(true);

    for (room, seqs, bodies) in [
        ("room:general", "1,2,3,4", "four,one,two,zero"),
        ("room:random", "1,2", "Hello,three"),
    ] {
        for window in [&alice, &bob] {
            window.wait_connected();
            window.open_row(room);
            window.wait_until(&format!("String({SEQS}) === '{seqs}'"));
            window.wait_hidden(".tick.pending");
            let sorted = window.evaluate(&format!("String({TEXTS}.sort())"));
            assert_eq!(sorted, bodies, "each once");
        }
        assert_eq!(alice.evaluate(TEXTS), bob.evaluate(TEXTS), "in one order");
    }
    for window in [&alice, &bob] {
        window.wait_hidden(".badge");
    }
    assert_eq!(browser.errors(), [""; 0]);
}

/// Counts the requests and commands of a window from now on.
fn count_requests(window: &Window) {
    window.evaluate(
        "globalThis.requests = 0;
         const { fetch } = globalThis;
         const { send } = WebSocket.prototype;
         globalThis.fetch = (...call) => { requests++; return fetch(...call); };
         WebSocket.prototype.send = function (data) { requests++; send.call(this, data); };",
    );
}

#[tokio::test]
async fn tabs_show_people_or_rooms_without_a_request() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app();
    app.send("bob", "alice", "Hi").await;
    let alice = join(&browser, &app.address, "alice", "general");
    let (person, room) = (".row[href='#bob']", ".row[href='#room:general']");
    alice.wait_visible(person);
    alice.wait_visible(room);
    alice.wait_for_text(&format!("{room} b"), "#general");
    count_requests(&alice);
    alice.click("#tab-people");
    alice.wait_hidden(room);
    alice.wait_visible(person);
    alice.press("ArrowRight");
    alice.wait_hidden(person);
    alice.wait_visible(room);
    let selected = "document.activeElement.matches('#tab-rooms[aria-selected=true]')";
    assert_eq!(alice.evaluate(selected), true);
    alice.press("ArrowRight");
    alice.wait_visible(person);
    alice.wait_visible(room);
    assert_eq!(alice.evaluate("requests"), 0);
    // What arrives is counted, whatever the tab shows.
    alice.click("#tab-rooms");
    app.send("bob", "alice", "Hello?").await;
    alice.wait_until("document.title === '(2) Duologue'");
    alice.wait_for_text("#tab-people .badge", "2");
    alice.wait_hidden(person);
    assert_eq!(browser.errors(), [""; 0]);
}

/// Chooses an action for a member in the dialog.
fn choose_for_member(window: &Window, user: &str, action: &str) {
    window.click(&format!("#members [data-key='{user}'] .menu"));
    window.click(&format!("#member-actions [data-action='{action}']"));
}

#[tokio::test]
async fn an_admin_changes_a_room_and_its_members() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app();
    let alice = join(&browser, &app.address, "alice", "general");
    let bob = join(&browser, &app.address, "bob", "general");
    for window in [&alice, &bob] {
        window.wait_for_text("#show-room", "2 members");
    }
    bob.click("#show-room");
    bob.wait_for_text("#members [data-key='alice']", "admin");
    bob.wait_hidden("#room-title");
    bob.wait_hidden("#members .menu");
    alice.click("#show-room");
    alice.click("#room-title");
    alice.type_text("All of us");
    alice.press("Enter");
    for window in [&alice, &bob] {
        window.wait_for_text("#title", "All of us");
    }
    bob.wait_for_text("#room-about", "All of us");
    alice.click("#new-member");
    alice.type_text("carol");
    alice.press("Enter");
    bob.wait_for_text("#members", "carol");
    choose_for_member(&alice, "bob", "make-admin");
    bob.wait_visible("#room-title");
    choose_for_member(&bob, "carol", "remove");
    alice.wait_hidden("#members [data-key='carol']");
    choose_for_member(&alice, "bob", "ban");
    alice.wait_for_text("#members [data-key='bob']", "banned");
    bob.wait_visible("#none-open");
    bob.wait_for_text("#error", "You are no longer in #general.");
    bob.wait_visible("#no-conversations");
    // An error is shown in the dialog, which hides the rest of the page.
    alice.click("#new-member");
    alice.type_text("no user");
    alice.press("Enter");
    alice.wait_for_text("#room-error", "user");
    alice.click("#leave-room");
    alice.wait_visible("#none-open");
    assert_eq!(browser.errors(), [""; 0]);
}

/// An open room of alice with one message.
async fn spawn_app_with_room() -> TestApp {
    let app = spawn_app();
    let room = json!({"join": "open", "admins": ["alice"], "title": "All of us"});
    app.set_room("general", &room).await.json(201);
    app.send("alice", "room:general", "Welcome").await;
    app
}

#[tokio::test]
async fn a_stranger_reads_an_open_room_and_joins_it() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app_with_room().await;
    let alice = browser.open(&app.address);
    alice.sign_in("alice");
    alice.open_row("room:general");
    let carol = browser.open(&format!("{}/#room:general", app.address));
    carol.sign_in("carol");
    carol.wait_for_text("[data-key='1'] .author", "alice");
    carol.wait_visible("#join-bar");
    carol.wait_hidden("#composer");
    carol.wait_visible("#no-conversations");
    // A stranger sees the room live.
    alice.click("#text");
    alice.type_text("Is anybody there?");
    carol.wait_for_text("#typing", "alice is typing");
    alice.press("Enter");
    carol.wait_for_text("[data-key='2']", "Is anybody there?");
    carol.click("#join");
    carol.wait_visible(".row[href='#room:general']");
    carol.send("I am");
    alice.wait_for_text("[data-key='3'] .author", "carol");
    alice.wait_for_text("#announcer", "#general, carol: I am");
    // An admin deletes the message of another member; a member does not.
    carol.click("[data-key='1'] .menu");
    carol.wait_visible("#actions [data-action='reply']");
    carol.wait_hidden("#actions [data-action='remove']");
    carol.press("Escape");
    alice.choose_action(3, "remove");
    alice.wait_for_text("#question", "for everyone");
    alice.click("#confirm-delete [value='delete']");
    carol.wait_visible("[data-key='3'] .deleted");
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_room_that_is_not_there_is_told_and_left() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app_with_room().await;
    let invited = json!({"join": "invited"});
    app.set_room("board", &invited).await.json(201);
    let carol = browser.open(&format!("{}/#room:board", app.address));
    carol.sign_in("carol");
    carol.wait_visible("#none-open");
    carol.wait_until("document.querySelector('#error').textContent");
    carol.wait_connected();
    // Unread messages of a room have a badge like those of a person.
    let added = app.set_member("general", "carol", "member").await;
    added.json(201);
    app.send("alice", "room:general", "Hello Carol").await;
    carol.wait_for_text(".row[href='#room:general'] .badge", "1");
    carol.wait_for_text(".row[href='#room:general']", "alice: Hello Carol");
    carol.open_row("room:general");
    carol.wait_hidden(".badge");
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_room_fits_a_phone_and_labels_every_control() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app_with_room().await;
    let member = "m".repeat(255);
    let added = app.set_member("general", &member, "member").await;
    added.json(201);
    app.send(&member, "room:general", "Long").await;
    let alice = browser.open(&app.address);
    alice.resize(360, 640);
    alice.sign_in("alice");
    alice.wait_visible(".row");
    alice.assert_accessible("the inbox with tabs");
    alice.open_row("room:general");
    alice.wait_visible(".author");
    alice.assert_accessible("the room");
    alice.click("#show-room");
    alice.wait_for_text("#members", "mmm");
    alice.assert_accessible("the dialog of the room");
    alice.click("#members .menu");
    alice.wait_until("document.activeElement.closest('#member-actions')");
    alice.press("Escape");
    alice.press("Escape");
    alice.wait_hidden("#room");
    alice.wait_until("document.activeElement.id === 'show-room'");
    assert_eq!(browser.errors(), [""; 0]);
}
