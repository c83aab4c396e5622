//! Two people who write to each other in Chromium, by the page that the service serves, while the
//! service comes and goes.

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::page::browser::Browser;
use crate::harness::page::window::{SEQS, TEXTS, Window};
use crate::harness::store::redis_server::RedisServer;

/// A service that is killed and comes back at the same address, on a Redis that stays.
struct Mortal {
    redis: RedisServer,
    dir: TempDir,
    address: String,
    alive: Option<ServiceProcess>,
}

impl Mortal {
    fn born() -> Self {
        let mut service = Self {
            redis: RedisServer::durable(),
            dir: tempfile::tempdir().unwrap(),
            address: "http://127.0.0.1:0".to_owned(),
            alive: None,
        };
        service.comes_back();
        service.address = service.alive.as_ref().unwrap().address.clone();
        service
    }

    fn dies(&mut self) {
        let service = self.alive.take().unwrap();
        service.signal(Signal::KILL);
    }

    fn comes_back(&mut self) {
        let (url, bind) = (self.redis.url(), self.address.replace("http://", ""));
        let settings = [("DUOLOGUE_REDIS_URL", &*url), ("DUOLOGUE_BIND", &*bind)];
        self.alive = Some(ServiceProcess::start_with(self.dir.path(), &settings));
    }
}

#[test]
fn two_windows_lose_no_message_across_an_outage() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = Mortal::born();
    let alice = browser.open(&service.address);
    alice.sign_in("alice");
    alice.open_conversation("bob");
    alice.send("Hello");
    alice.wait_visible("[data-key='1'] .tick.sent");
    let bob = browser.open(&service.address);
    bob.sign_in("bob");
    they_talk(&alice, &bob);
    they_change_messages(&alice, &bob);

    // Whether this one arrived, its sender cannot know.
    alice.send("zero");
    service.dies();
    they_write_into_the_void(&alice, &bob);
    bob.set_network(false);
    service.comes_back();
    // Nobody tells her; what she sends now, he can only learn by his cursor.
    alice.wait_connected();
    alice.wait_hidden(".tick.pending");
    bob.set_network(true);
    nothing_is_missing(&alice, &bob);
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_page_refetches_after_conversation_changed_and_reset() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = Mortal::born();
    let [alice, bob] = ["alice", "bob"].map(|user| {
        let window = browser.open(&service.address);
        window.sign_in(user);
        window
    });
    bob.open_conversation("alice");
    bob.send("one");
    alice.click(".row");
    alice.wait_for_text("#messages", "one");
    // As another device of hers would; the page is told `conversation.changed`.
    alice.value("void fetch('/conversations/alice/bob', {method: 'DELETE'})");
    alice.wait_hidden("#messages li");
    alice.wait_visible("#no-rows");
    bob.send("two");
    bob.send("three");
    alice.wait_until(&format!(
        "String({TEXTS}) === 'two,three' && String({SEQS}) === '2,3'"
    ));

    service.dies();
    let mut redis = service.redis.connect();
    redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
    bob.send("after");
    service.comes_back();
    // To a store that knows none of their cursors, which is a `reset`.
    for window in [&alice, &bob] {
        window.wait_until(&format!(
            "String({TEXTS}) === 'after' && String({SEQS}) === '1'"
        ));
        window.wait_for_text(".row", "after");
    }
    assert_eq!(browser.errors(), [""; 0]);
}

/// Ticks, badge, typing, presence.
fn they_talk(alice: &Window, bob: &Window) {
    alice.wait_visible("[data-key='1'] .tick.delivered");
    alice.wait_for_text("#presence", "online");
    bob.wait_for_text(".badge", "1");
    bob.wait_until("document.title === '(1) Duologue'");
    bob.click(".row");
    alice.wait_visible("[data-key='1'] .tick.read");
    bob.wait_hidden(".badge");
    bob.wait_until("document.title === 'Duologue'");
    alice.wait_hidden("#typing");
    bob.click("#text");
    bob.type_text("Hi");
    alice.wait_visible("#typing");
    alice.wait_for_text(".row", "typing");
    bob.press_key("Enter");
    alice.wait_for_text("[data-key='2']", "Hi");
    alice.wait_hidden("#typing");
    alice.wait_for_text("#announcer", "bob: Hi");
}

/// Edit, reply, reaction, delete; and text that looks like markup.
fn they_change_messages(alice: &Window, bob: &Window) {
    alice.choose_action(1, "edit");
    alice.type_text(" there");
    alice.press_key("Enter");
    bob.wait_for_text("[data-key='1']", "Hello there");
    bob.wait_for_text("[data-key='1']", "edited");
    bob.choose_action(1, "reply");
    bob.send("At one?");
    alice.wait_for_text("[data-key='3'] blockquote", "alice: Hello there");
    bob.click("[data-key='1'] .menu");
    bob.click("#actions button:first-child");
    alice.wait_for_text("[data-key='1'] .reactions", "1");
    bob.click("[data-key='1'] .reactions button");
    alice.wait_hidden("[data-key='1'] .reactions button");
    alice.choose_action(1, "remove");
    alice.click("#sure [value='yes']");
    bob.wait_visible("[data-key='1'] .deleted");
    bob.wait_hidden("[data-key='1'] .menu");
    alice.send("<img src=x onerror=alert(1)>");
    bob.wait_for_text("[data-key='4'] p", "<img src=x onerror=alert(1)>");
    bob.wait_hidden("#messages img");
}

fn they_write_into_the_void(alice: &Window, bob: &Window) {
    for (window, texts) in [(alice, ["one", "two"]), (bob, ["three", "four"])] {
        window.wait_for_text("#connection", "Reconnecting");
        window.wait_visible("#connection");
        for text in texts {
            window.send(text);
        }
        window.wait_until("document.querySelectorAll('.tick.pending').length >= 2");
    }
}

/// Everything is there, once, in the same order for both, and everything has been read.
fn nothing_is_missing(alice: &Window, bob: &Window) {
    for window in [alice, bob] {
        window.wait_connected();
        window.wait_until(&format!("String({SEQS}) === '1,2,3,4,5,6,7,8,9'"));
        window.wait_hidden(".tick.pending");
        window.wait_hidden(".badge");
    }
    let texts = alice.value(TEXTS);
    assert_eq!(texts, bob.value(TEXTS));
    let texts: Vec<_> = texts
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    assert_eq!(texts[1..3], ["\"Hi\"", "\"At one?\""]);
    let place = |text: &str| {
        texts
            .iter()
            .position(|t| t.trim_matches('"') == text)
            .unwrap()
    };
    assert!(
        place("zero") < place("one")
            && place("one") < place("two")
            && place("three") < place("four"),
        "{texts:?}"
    );
    alice
        .wait_until("[...document.querySelectorAll('.mine .tick')].every(t => t.matches('.read'))");
}
