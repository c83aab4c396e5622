//! Rooms in the client `web/duologue.js`, in Chromium, against the service.

use serde_json::json;

use crate::harness::auth::secured_app::{spawn_secured_app, token};
use crate::harness::page::browser::Browser;
use crate::harness::page::client_page::ClientPage;
use crate::harness::page::restartable_service::RestartableService;
use crate::harness::spawn_app;

/// Watches a room and waits until the service says so.
fn watch(page: &ClientPage, room: &str) {
    page.0.evaluate(&format!("client.watch('{room}')"));
    page.0.wait_until("roomEvents.at(-1)?.type === 'watched'");
}

#[test]
fn a_watching_client_receives_exactly_what_it_missed() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = RestartableService::start();
    let connect = |user| ClientPage::connect(&browser, &service.address, user);
    let [alice, carol] = ["alice", "carol"].map(connect);
    alice.0.evaluate("client.rooms.joinRoom('general')");
    watch(&carol, "general");
    alice.send("room:general", "one");
    carol.0.wait_until("watched().length === 1");

    service.kill();
    carol.0.set_network(false);
    service.restart();
    // Carol is offline, so she receives these only by resuming.
    alice.send("room:general", "two");
    alice.send("room:general", "three");
    alice.wait_sent();
    carol.0.set_network(true);
    carol.0.wait_until("watched().length >= 3");
    alice.send("room:general", "four");
    carol.0.wait_until("watched().length >= 4");
    let all = ["1 one", "2 two", "3 three", "4 four"].map(|message| format!("general {message}"));
    assert_eq!(carol.0.evaluate("watched()"), json!(all));
    let changes = "roomEvents.filter(({ type }) => type === 'conversation.changed').length";
    assert_eq!(carol.0.evaluate(changes), 0);
    // These are no events of Carol's own stream.
    assert_eq!(carol.0.evaluate("received()"), json!([]));

    carol
        .0
        .evaluate("client.unwatch('general'); client.command('ping').then(() => true)");
    alice.send("room:general", "five");
    alice.wait_sent();
    carol.0.evaluate("client.command('ping').then(() => true)");
    assert_eq!(carol.0.evaluate("watched().length"), 4);
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_client_without_access_is_told_that_it_does_not_watch() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app();
    let room = json!({"join": "open", "admins": ["alice"]});
    app.set_room("general", &room).await.json(201);
    let carol = ClientPage::connect(&browser, &app.address, "carol");
    carol.0.evaluate("client.watch('absent')");
    carol.0.wait_until("refused.length");
    let refused = carol.0.evaluate("refused");
    assert_eq!(refused, json!(["absent: 404 ROOM_NOT_FOUND"]));
    watch(&carol, "general");
    let banned = app.set_member("general", "carol", "banned").await;
    banned.json(201);
    carol
        .0
        .wait_until("roomEvents.some(({ type }) => type === 'unwatched')");
    let problem = carol.0.evaluate("roomEvents.at(-1).problem.code");
    assert_eq!(problem, "NOT_A_MEMBER");
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_client_manages_a_room_and_its_members() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_secured_app();
    let connect = |user: &str| {
        let options = format!("{{ getToken: () => '{}' }}", token(user));
        let page = ClientPage::open(&browser, &app.address, &options);
        page.0.evaluate("client.connect()");
        page.wait_connected();
        page
    };
    let [alice, bob] = ["alice", "bob"].map(connect);
    // Both at once: one creates the room, and the other one joins it.
    for page in [&alice, &bob] {
        page.0
            .evaluate("globalThis.joined = client.rooms.joinRoom('general'); true");
    }
    for page in [&alice, &bob] {
        page.0.evaluate("joined.then(() => true)");
    }
    let roles = "client.rooms.listMembers('general')
        .then((members) => members.map(({ role }) => role).sort())";
    assert_eq!(alice.0.evaluate(roles), json!(["admin", "member"]));
    let is_admin = "client.rooms.readRoom('general')
        .then(({ membership }) => membership.role === 'admin')";
    let (admin, other) = if alice.0.evaluate(is_admin) == true {
        (&alice, "bob")
    } else {
        (&bob, "alice")
    };
    let settings = "client.rooms.setRoom('general', { title: 'All of us', join: 'invited' })
        .then(({ title, join }) => [title, join])";
    assert_eq!(admin.0.evaluate(settings), json!(["All of us", "invited"]));
    let promote =
        format!("client.rooms.setMember('general', '{other}', 'admin').then(({{ role }}) => role)");
    assert_eq!(admin.0.evaluate(&promote), "admin");
    admin.0.evaluate("client.rooms.leaveRoom('general')");
    let refused = "client.rooms.readRoom('general').catch(({ code }) => code)";
    assert_eq!(admin.0.evaluate(refused), "ROOM_NOT_FOUND");
    assert_eq!(browser.errors(), [""; 0]);
}
