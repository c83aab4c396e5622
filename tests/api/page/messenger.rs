//! Two people who write to each other in Chromium, by the page that the service serves, while the
//! service comes and goes.

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::binary::Binary;
use crate::harness::browser::Browser;
use crate::harness::redis_server::RedisServer;
use crate::harness::window::{SEQS, TEXTS, Window};

/// A service that is killed and comes back at the same address, on a Redis that stays.
struct Mortal {
    redis: RedisServer,
    dir: TempDir,
    address: String,
    alive: Option<Binary>,
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
        self.alive = Some(Binary::start_with(self.dir.path(), &settings));
    }
}

#[test]
fn two_windows_talk_and_miss_nothing_while_the_service_is_away() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = Mortal::born();
    let alice = browser.open(&service.address);
    alice.enters("alice");
    alice.begins("bob");
    alice.says("Hello");
    alice.shows("[data-key='1'] .tick.sent");
    let bob = browser.open(&service.address);
    bob.enters("bob");
    they_talk(&alice, &bob);
    they_change_messages(&alice, &bob);

    // Whether this one arrived, its sender cannot know.
    alice.says("zero");
    service.dies();
    they_write_into_the_void(&alice, &bob);
    bob.has_network(false);
    service.comes_back();
    // Nobody tells her; what she sends now, he can only learn by his cursor.
    alice.is_connected();
    alice.shows_no(".tick.pending");
    bob.has_network(true);
    nothing_is_missing(&alice, &bob);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_page_reads_anew_what_it_cannot_be_told_bit_by_bit() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut service = Mortal::born();
    let [alice, bob] = ["alice", "bob"].map(|user| {
        let window = browser.open(&service.address);
        window.enters(user);
        window
    });
    bob.begins("alice");
    bob.says("one");
    alice.clicks(".row");
    alice.reads("#messages", "one");
    // As another device of hers would; the page is told `conversation.changed`.
    alice.value("void fetch('/conversations/alice/bob', {method: 'DELETE'})");
    alice.shows_no("#messages li");
    alice.shows("#no-rows");
    bob.says("two");
    bob.says("three");
    alice.sees(&format!(
        "String({TEXTS}) === 'two,three' && String({SEQS}) === '2,3'"
    ));

    service.dies();
    let mut redis = service.redis.connect();
    redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
    bob.says("after");
    service.comes_back();
    // To a store that knows none of their cursors, which is a `reset`.
    for window in [&alice, &bob] {
        window.sees(&format!(
            "String({TEXTS}) === 'after' && String({SEQS}) === '1'"
        ));
        window.reads(".row", "after");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Ticks, badge, typing, presence.
fn they_talk(alice: &Window, bob: &Window) {
    alice.shows("[data-key='1'] .tick.delivered");
    alice.reads("#presence", "online");
    bob.reads(".badge", "1");
    bob.sees("document.title === '(1) Duologue'");
    bob.clicks(".row");
    alice.shows("[data-key='1'] .tick.read");
    bob.shows_no(".badge");
    bob.sees("document.title === 'Duologue'");
    alice.shows_no("#typing");
    bob.clicks("#text");
    bob.types("Hi");
    alice.shows("#typing");
    alice.reads(".row", "typing");
    bob.presses("Enter");
    alice.reads("[data-key='2']", "Hi");
    alice.shows_no("#typing");
    alice.reads("#announcer", "bob: Hi");
}

/// Edit, reply, reaction, delete; and text that looks like markup.
fn they_change_messages(alice: &Window, bob: &Window) {
    alice.acts(1, "edit");
    alice.types(" there");
    alice.presses("Enter");
    bob.reads("[data-key='1']", "Hello there");
    bob.reads("[data-key='1']", "edited");
    bob.acts(1, "reply");
    bob.says("At one?");
    alice.reads("[data-key='3'] blockquote", "alice: Hello there");
    bob.clicks("[data-key='1'] .menu");
    bob.clicks("#actions button:first-child");
    alice.reads("[data-key='1'] .reactions", "1");
    bob.clicks("[data-key='1'] .reactions button");
    alice.shows_no("[data-key='1'] .reactions button");
    alice.acts(1, "remove");
    alice.clicks("#sure [value='yes']");
    bob.shows("[data-key='1'] .deleted");
    bob.shows_no("[data-key='1'] .menu");
    alice.says("<img src=x onerror=alert(1)>");
    bob.reads("[data-key='4'] p", "<img src=x onerror=alert(1)>");
    bob.shows_no("#messages img");
}

fn they_write_into_the_void(alice: &Window, bob: &Window) {
    for (window, texts) in [(alice, ["one", "two"]), (bob, ["three", "four"])] {
        window.reads("#connection", "Reconnecting");
        window.shows("#connection");
        for text in texts {
            window.says(text);
        }
        window.sees("document.querySelectorAll('.tick.pending').length >= 2");
    }
}

/// Everything is there, once, in the same order for both, and everything has been read.
fn nothing_is_missing(alice: &Window, bob: &Window) {
    for window in [alice, bob] {
        window.is_connected();
        window.sees(&format!("String({SEQS}) === '1,2,3,4,5,6,7,8,9'"));
        window.shows_no(".tick.pending");
        window.shows_no(".badge");
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
    alice.sees("[...document.querySelectorAll('.mine .tick')].every(t => t.matches('.read'))");
}
