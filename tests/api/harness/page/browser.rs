//! A headless Chromium, controlled by the DevTools protocol (CDP) through a pipe, so that it needs no
//! port and ends with the test.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::page::window::Window;

/// The names of the Chromium command.
const NAMES: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
/// How long a test waits for something to happen in a window.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A running Chromium. Killed when dropped.
pub struct Browser {
    child: Child,
    requests: RefCell<ChildStdin>,
    answers: Receiver<Value>,
    last_id: Cell<u64>,
    /// Uncaught exceptions and violations of the content security policy.
    errors: RefCell<Vec<String>>,
    _profile: TempDir,
}

/// The installed command, if any: `CHROME` if that is set.
fn installed() -> Option<OsString> {
    let runs = |name: &OsString| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    match std::env::var_os("CHROME") {
        Some(chrome) => Some(chrome).filter(runs),
        None => NAMES.iter().map(OsString::from).find(runs),
    }
}

impl Browser {
    /// Starts one, or returns `None` so that the test is skipped. In CI it must exist.
    pub fn start() -> Option<Self> {
        let Some(chrome) = installed() else {
            let missing = "there is no Chromium (nor Chrome) on the PATH, and CHROME names none";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            // The test runner captures the output of `eprintln!`.
            let _ = writeln!(std::io::stderr(), "skipped: {missing}");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut child = command(&chrome, &profile).spawn().unwrap();
        let requests = RefCell::new(child.stdin.take().unwrap());
        let answers = read_all(child.stdout.take().unwrap());
        Some(Self {
            child,
            requests,
            answers,
            last_id: Cell::new(0),
            errors: RefCell::default(),
            _profile: profile,
        })
    }

    /// Opens a page in a window with its own cookies and storage.
    pub fn open(&self, url: &str) -> Window<'_> {
        let context = self.call("", "Target.createBrowserContext", &json!({}));
        let blank = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        let target = self.call("", "Target.createTarget", &blank);
        let flat = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("", "Target.attachToTarget", &flat);
        Window::open(self, attached["sessionId"].as_str().unwrap(), url)
    }

    /// The errors of all pages so far.
    pub fn errors(&self) -> Vec<String> {
        self.errors.borrow().clone()
    }

    /// Sends a command and returns its result.
    #[track_caller]
    pub fn call(&self, session: &str, method: &str, params: &Value) -> Value {
        let answer = self.request(session, method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Sends a command and returns the answer, which can be an error.
    pub fn request(&self, session: &str, method: &str, params: &Value) -> Value {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let mut request = json!({"id": id, "method": method, "params": params});
        if !session.is_empty() {
            request["sessionId"] = json!(session);
        }
        let bytes = format!("{request}\0");
        self.requests
            .borrow_mut()
            .write_all(bytes.as_bytes())
            .unwrap();
        loop {
            let answer = self.answers.recv_timeout(TIMEOUT).expect(method);
            if answer["id"] == id {
                return answer;
            }
            self.record_error(&answer);
        }
    }

    /// Keeps an event that reports an error. A failed connection is not one.
    fn record_error(&self, event: &Value) {
        let (params, entry) = (&event["params"], &event["params"]["entry"]);
        let is_error = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => entry["level"] == "error" && entry["source"] != "network",
            _ => false,
        };
        if is_error {
            self.errors.borrow_mut().push(params.to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Chromium reads commands from descriptor 3 and writes answers to 4; the shell connects them.
fn command(chrome: &OsString, profile: &TempDir) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            "sh",
        ])
        .arg(chrome)
        .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox"])
        .args(["--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .env("TMPDIR", profile.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    command
}

/// Reads messages from the pipe in a thread.
fn read_all(stdout: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let messages = BufReader::new(stdout).split(0);
        for message in messages.map_while(Result::ok) {
            let message = serde_json::from_slice(&message).unwrap();
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    receiver
}
