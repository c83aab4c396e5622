//! A page that has nothing but a client of `web/duologue.js`.

use serde_json::Value;

use crate::harness::page::browser::Browser;
use crate::harness::page::window::Window;

/// Defines `createClient`, and globals that hold what the client reports.
const SETUP: &str = include_str!("client_page.js");

/// A window whose page runs a client. The page is the script's own text, so it has no messenger.
pub struct ClientPage<'a>(pub Window<'a>);

impl<'a> ClientPage<'a> {
    /// Opens the page and creates a client with these options (a JavaScript object).
    pub fn open(browser: &'a Browser, address: &str, options: &str) -> Self {
        let page = Self(browser.open(&format!("{address}/duologue.js")));
        page.create_client(options);
        page
    }

    /// Opens the page and connects as a user of a service without secrets.
    pub fn connect(browser: &'a Browser, address: &str, user: &str) -> Self {
        let page = Self::open(browser, address, &format!("{{ user: '{user}' }}"));
        page.0.evaluate("client.connect()");
        page.wait_connected();
        page
    }

    pub fn create_client(&self, options: &str) {
        self.0.evaluate(SETUP);
        self.0.evaluate(&format!("createClient({options})"));
    }

    #[track_caller]
    pub fn wait_connected(&self) {
        self.0.wait_until("client.state === 'connected'");
    }

    /// Passes a message to `send`.
    pub fn send(&self, to: &str, body: &str) {
        let script = format!("void client.send({{ to: '{to}', body: '{body}' }})");
        self.0.evaluate(&script);
    }

    /// Waits until nothing is in the outbox.
    #[track_caller]
    pub fn wait_sent(&self) {
        self.0.wait_until("client.outbox.length === 0");
    }

    /// Waits until so many messages of peers were received, and returns all of them as `seq body`.
    #[track_caller]
    pub fn receive(&self, count: usize) -> Value {
        self.0.wait_until(&format!("received().length >= {count}"));
        self.0.evaluate("received()")
    }
}
