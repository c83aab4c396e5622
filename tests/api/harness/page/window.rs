//! A browser window, and what a user does in the messenger.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::page::browser::{Browser, TIMEOUT};

/// The texts of the displayed messages, oldest first.
pub const TEXTS: &str =
    "[...document.querySelectorAll('#messages li > p')].map(p => p.textContent)";
/// The `seq` of each displayed message.
pub const SEQS: &str =
    "[...document.querySelectorAll('#messages li')].map(li => Number(li.dataset.key))";

/// The roles of elements that a screen reader announces by their name.
const NAMED_ROLES: &[&str] = &[
    "button",
    "link",
    "textbox",
    "combobox",
    "image",
    "dialog",
    "navigation",
    "region",
    "tab",
    "tabpanel",
];

/// A window with its own cookies and storage.
pub struct Window<'a> {
    browser: &'a Browser,
    session: String,
}

impl<'a> Window<'a> {
    /// Opens a page in a window of desktop size.
    pub fn open(browser: &'a Browser, session: &str, url: &str) -> Self {
        let session = session.to_owned();
        let window = Self { browser, session };
        for domain in ["Page", "Runtime", "Log"] {
            window.call(&format!("{domain}.enable"), &json!({}));
        }
        let enabled = json!({"enabled": true});
        window.call("Emulation.setFocusEmulationEnabled", &enabled);
        window.resize(1100, 760);
        window.call("Page.navigate", &json!({"url": url}));
        window.wait_until("location.href !== 'about:blank' && document.readyState === 'complete'");
        window
    }

    #[track_caller]
    pub fn call(&self, method: &str, params: &Value) -> Value {
        self.browser.call(&self.session, method, params)
    }

    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Switches the network of the window on or off.
    pub fn set_network(&self, online: bool) {
        self.call("Network.enable", &json!({}));
        let any = json!({"offline": !online, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", &any);
    }

    /// The value of an expression; if it is a promise, of what it resolves to.
    #[track_caller]
    pub fn evaluate(&self, expression: &str) -> Value {
        let value = self.evaluate_unless_replaced(expression);
        value.unwrap_or_else(|| panic!("{expression}: another page is being loaded"))
    }

    /// The same; none while the page is replaced by another one.
    #[track_caller]
    fn evaluate_unless_replaced(&self, expression: &str) -> Option<Value> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let method = "Runtime.evaluate";
        let answer = self.browser.request(&self.session, method, &params);
        if answer["error"]["message"] == "Inspected target navigated or closed" {
            return None;
        }
        assert!(answer["error"].is_null(), "{method}: {answer}");
        let failed = &answer["result"]["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        Some(answer["result"]["result"]["value"].clone())
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_until(&self, expression: &str) {
        let deadline = Instant::now() + TIMEOUT;
        let expected = format!("Boolean({expression})");
        while self.evaluate_unless_replaced(&expected) != Some(Value::Bool(true)) {
            let seen = || self.evaluate("document.body.innerText");
            assert!(
                Instant::now() < deadline,
                "never {expression}; the page shows {}",
                seen()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until an element is visible and clicks it.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = format!("document.querySelector({})", json!(selector));
        self.wait_until(&format!("{element}?.checkVisibility()"));
        self.evaluate(&format!("{element}.scrollIntoView({{block: 'nearest'}})"));
        let middle = format!(
            "(({{left, top, width, height}}) => [left + width / 2, top + height / 2])({element}.getBoundingClientRect())"
        );
        let middle = self.evaluate(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&middle[0], &middle[1]);
            let params = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &params);
        }
    }

    /// Types into the focused element.
    pub fn type_text(&self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Presses a key: `Enter`, `Escape`, `Tab`, an arrow, `End`.
    pub fn press(&self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Tab" => (9, ""),
            "End" => (35, ""),
            "ArrowLeft" => (37, ""),
            "ArrowRight" => (39, ""),
            _ => unreachable!("{key}"),
        };
        let mut params = json!({"key": key, "code": key, "windowsVirtualKeyCode": code});
        for kind in ["keyDown", "keyUp"] {
            params["type"] = json!(kind);
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", &params);
        }
    }
}

/// The messenger.
impl Window<'_> {
    #[track_caller]
    pub fn sign_in(&self, credential: &str) {
        self.click("#credential");
        self.type_text(credential);
        self.press("Enter");
        self.wait_connected();
    }

    #[track_caller]
    pub fn wait_connected(&self) {
        self.wait_until("document.querySelector('#messenger').dataset.connected === 'true'");
    }

    #[track_caller]
    pub fn start_conversation(&self, peer: &str) {
        self.click("#new-peer");
        self.type_text(peer);
        self.press("Enter");
        self.wait_for_text("#peer", peer);
    }

    #[track_caller]
    pub fn send(&self, text: &str) {
        self.click("#text");
        self.type_text(text);
        self.press("Enter");
    }

    /// Chooses an action from a message's menu.
    #[track_caller]
    pub fn choose_action(&self, seq: u64, action: &str) {
        self.click(&format!("[data-key='{seq}'] .menu"));
        self.click(&format!("#actions [data-action='{action}']"));
    }

    /// Waits until an element contains a text.
    #[track_caller]
    pub fn wait_for_text(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait_until(&format!(
            "document.querySelector({selector})?.textContent.includes({text})"
        ));
    }

    #[track_caller]
    pub fn wait_visible(&self, selector: &str) {
        self.wait_until(&format!(
            "document.querySelector({})?.checkVisibility()",
            json!(selector)
        ));
    }

    #[track_caller]
    pub fn wait_hidden(&self, selector: &str) {
        self.wait_until(&format!(
            "!document.querySelector({})?.checkVisibility()",
            json!(selector)
        ));
    }

    /// Opens a conversation of the inbox.
    #[track_caller]
    pub fn open_row(&self, peer: &str) {
        self.click(&format!(".row[href='#{peer}']"));
        self.wait_until(&format!("location.hash === '#{peer}'"));
    }

    /// Asserts that controls and images have names and that nothing is wider than the window.
    #[track_caller]
    pub fn assert_accessible(&self, what: &str) {
        let wide = self.evaluate("document.documentElement.scrollWidth > innerWidth");
        assert_eq!(wide, false, "{what} is too wide");
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let mut found = 0;
        for node in tree["nodes"].as_array().unwrap() {
            let (role, name) = (&node["role"]["value"], &node["name"]["value"]);
            if NAMED_ROLES.iter().any(|named| role == named) {
                found += 1;
                let is_named = name.as_str().is_some_and(|name| !name.is_empty());
                assert!(is_named, "{what}: {node}");
            }
        }
        assert!(found >= 2, "{what}");
    }
}
