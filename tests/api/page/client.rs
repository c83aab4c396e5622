//! The client `web/duologue.js` without the messenger, in Chromium, against the service.

use reqwest::Method;
use serde_json::json;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app, token, token_until};
use crate::harness::page::browser::Browser;
use crate::harness::page::client_page::ClientPage;
use crate::harness::page::restartable_service::RestartableService;
use crate::harness::{spawn_app, spawn_app_with};

#[test]
fn a_client_resumes_by_cursor_without_loss_or_duplicates() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = RestartableService::start();
    let alice = ClientPage::connect(&browser, &service.address, "alice");
    let bob = ClientPage::connect(&browser, &service.address, "bob");
    bob.send("alice", "one");
    alice.receive(1);

    service.kill();
    alice.0.set_network(false);
    service.restart();
    // Alice is offline, so she receives these only by resuming.
    bob.send("alice", "two");
    bob.send("alice", "three");
    bob.wait_sent();
    alice.0.set_network(true);
    alice.receive(3);
    bob.send("alice", "four");
    let expected = json!(["1 one", "2 two", "3 three", "4 four"]);
    assert_eq!(alice.receive(4), expected);
    assert_eq!(alice.0.evaluate("count('hello')"), 2);
    assert_eq!(alice.0.evaluate("count('reset')"), 0);
    assert_eq!(alice.0.evaluate("count('conversation.changed')"), 0);

    // A new client with the stored cursor receives only what came after it.
    bob.send("alice", "five");
    bob.wait_sent();
    let cursor = alice
        .0
        .evaluate("events.find((e) => e.message?.seq === 4).cursor");
    alice.0.evaluate("client.disconnect()");
    alice.create_client(&format!("{{ user: 'alice', cursor: {cursor} }}"));
    alice.0.evaluate("client.connect()");
    assert_eq!(alice.receive(1), json!(["5 five"]));
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn an_event_is_repeated_until_it_is_processed() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app();
    let alice = ClientPage::connect(&browser, &app.address, "alice");
    alice.0.evaluate(
        "globalThis.failures = 0;
         globalThis.processEvent = async ({ message }) => {
           await null;
           if (message?.seq === 2 && failures++ < 2) throw new Error('The app is busy.');
         }",
    );
    for body in ["one", "two", "three"] {
        app.send("bob", "alice", body).await;
    }
    assert_eq!(alice.receive(3), json!(["1 one", "2 two", "3 three"]));
    assert_eq!(alice.0.evaluate("failures"), 3);
    assert_eq!(alice.0.evaluate("count('hello')"), 3);

    // No event is processed while exclusive work runs.
    alice.0.evaluate(
        "void client.runExclusive(() => new Promise((done) => (globalThis.finish = done)))",
    );
    app.send("bob", "alice", "four").await;
    let later = "new Promise((done) => setTimeout(() => done(received().length), 300))";
    assert_eq!(alice.0.evaluate(later), 3);
    alice.0.evaluate("finish()");
    alice.receive(4);
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_outbox_survives_an_outage_and_a_reload() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = RestartableService::start();
    let alice = ClientPage::connect(&browser, &service.address, "alice");
    alice.send("bob", "one");
    alice.wait_sent();
    // The service is killed before the client learns whether this message was stored.
    alice.send("bob", "two");
    service.kill();
    alice.0.wait_until("client.state === 'connecting'");
    alice.send("bob", "three");
    alice.send("bob", "four");
    let before = alice.0.evaluate("[...sent, ...client.outbox].length");
    assert_eq!(before, 4);

    service.restart();
    alice.wait_connected();
    alice.wait_sent();
    let sent = "String(sent.map(({ seq, body }) => `${seq} ${body}`))";
    assert_eq!(alice.0.evaluate(sent), "1 one,2 two,3 three,4 four");

    service.kill();
    alice.0.wait_until("client.state === 'connecting'");
    alice.send("bob", "five");
    alice.0.evaluate("client.disconnect()");
    service.restart();
    // A new client, as after a reload, finds the message in its storage.
    alice.create_client("{ user: 'alice' }");
    assert_eq!(alice.0.evaluate("client.outbox.length"), 0);
    alice.send("bob", "six");
    alice.0.evaluate("client.connect()");
    alice.0.wait_until("sent.length === 2");
    assert_eq!(alice.0.evaluate(sent), "5 five,6 six");
    let history = "client.request('GET', '/conversations/alice/bob')
        .then(({ history }) => String(history.map(({ body }) => body)))";
    let bodies = alice.0.evaluate(history);
    assert_eq!(bodies, "six,five,four,three,two,one");
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_message_whose_acknowledgement_is_lost_is_stored_once() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app();
    let alice = ClientPage::open(&browser, &app.address, "{ user: 'alice' }");
    alice.0.evaluate(
        "globalThis.lost = 0;
         const Original = WebSocket;
         globalThis.WebSocket = class extends Original {
           set onmessage(listener) {
             super.onmessage = (event) => {
               if (JSON.parse(event.data).type !== 'ack' || lost > 0) return listener(event);
               lost++;
               this.close();
             };
           }
         };
         client.connect()",
    );
    alice.wait_connected();
    alice.send("bob", "one");
    alice.send("bob", "two");
    alice.wait_sent();
    assert_eq!(alice.0.evaluate("lost"), 1);
    let sent = alice
        .0
        .evaluate("sent.map(({ seq, body }) => `${seq} ${body}`)");
    assert_eq!(sent, json!(["1 one", "2 two"]));
    let conversation = app.peek("bob", "alice").await;
    assert_eq!(conversation["last_seq"], 2);
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_refused_message_is_reported_once() {
    let Some(browser) = Browser::start() else {
        return;
    };
    // One message a second, so that the client also meets refusals that are temporary.
    let app = spawn_app_with(&["--send-rate", "1:2"]);
    app.flag(Method::PUT, "carol", "alice", "block").await;
    let alice = ClientPage::connect(&browser, &app.address, "alice");
    alice.send("bob", "one");
    alice.send("alice", "to herself");
    alice.send("carol", "blocked");
    alice.send("bob", "two");
    alice.send("bob", "three");
    alice.wait_sent();
    let refused = json!(["to herself: 400 INVALID_REQUEST", "blocked: 403 BLOCKED"]);
    assert_eq!(alice.0.evaluate("refused"), refused);
    let sent = alice
        .0
        .evaluate("sent.map(({ seq, body }) => `${seq} ${body}`)");
    assert_eq!(sent, json!(["1 one", "2 two", "3 three"]));
    assert_eq!(alice.0.evaluate("sessionStorage.alice"), "[]");

    let failure = |call: &str| {
        let script = format!("{call}.catch(({{ code, status }}) => `${{status}} ${{code}}`)");
        alice.0.evaluate(&script)
    };
    let unknown = failure("client.command('read', { peer: 'bob', seq: 'x' })");
    assert_eq!(unknown, "400 INVALID_REQUEST");
    assert_eq!(
        failure("client.request('GET', '/nowhere')"),
        "404 NOT_FOUND"
    );
    alice.0.evaluate("client.disconnect()");
    assert_eq!(failure("client.command('ping')"), "0 DISCONNECTED");
    alice.0.set_network(false);
    assert_eq!(failure("client.request('GET', '/')"), "0 DISCONNECTED");
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn a_client_asks_for_a_token_when_its_token_ends() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_secured_app();
    let alice = ClientPage::open(&browser, &app.address, "{ getToken: async () => token }");
    let connect_with = |token: &str| {
        let script = format!("globalThis.token = '{token}'; client.connect()");
        alice.0.evaluate(&script);
    };
    connect_with("not a token");
    alice.0.wait_until("client.state === 'disconnected'");
    // Tokens are valid for 30 s longer than they say, so this one is valid for 6 s.
    connect_with(&token_until("alice", -24));
    alice.wait_connected();
    let fresh = token("alice");
    alice.0.evaluate(&format!("globalThis.token = '{fresh}'"));
    alice
        .0
        .wait_until("count('hello') === 2 && client.state === 'connected'");
    let states = json!([
        "connecting",
        "disconnected UNAUTHENTICATED",
        "connecting",
        "connected",
        "connecting DISCONNECTED",
        "connected",
    ]);
    assert_eq!(alice.0.evaluate("states"), states);

    // A token of another user does not send this user's outbox.
    alice.0.evaluate("client.disconnect(); states.length = 0");
    alice.send("bob", "from alice");
    connect_with(&token("carol"));
    alice.0.wait_until("client.state === 'disconnected'");
    let states = json!(["disconnected", "connecting", "disconnected USER_CHANGED"]);
    assert_eq!(alice.0.evaluate("states"), states);
    assert_eq!(alice.0.evaluate("client.outbox.length"), 1);
    let inbox = app.get_as(SERVICE_KEY, "/conversations/bob").await;
    assert_eq!(inbox.json(200)["conversations"], json!([]));
    connect_with(&token("alice"));
    alice.wait_sent();
    assert_eq!(alice.0.evaluate("sent[0].body"), "from alice");
    assert_eq!(browser.errors(), [""; 0]);
}
