//! Devices: WebSocket clients of the protocol of docs/live.md.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use duologue::cli::chat::socket::Upgrade;
use futures_util::{SinkExt, StreamExt};
use reqwest::Upgraded;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::TestApp;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::frame;

/// How long anything a device waits for may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What a client receives.
#[derive(Debug)]
pub enum Received {
    Frame(Value),
    /// Nothing within the time.
    Nothing,
    /// Close code and reason; 1006 without a close frame.
    Closed(u16, String),
}

/// A connected WebSocket. Dropping it sends no close frame.
pub struct Device {
    /// The first frame.
    pub hello: Value,
    /// The subprotocol that the service selected.
    pub protocol: Option<String>,
    socket: WebSocketStream<Upgraded>,
    /// Events received while waiting for something else.
    backlog: VecDeque<Value>,
    asked: u64,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device of {}", self.hello["user"])
    }
}

impl Device {
    /// Connects to a service without credentials.
    pub async fn connect(app: &TestApp, user: &str) -> Self {
        ConnectOptions::new(&app.address)
            .user(user)
            .connect(None)
            .await
    }

    /// The same, after a cursor.
    pub async fn connect_at(app: &TestApp, user: &str, cursor: &str) -> Self {
        let options = ConnectOptions::new(&app.address).user(user);
        options.connect(Some(cursor)).await
    }

    /// Waits for the `hello` frame; `None` if the connection ends before.
    pub async fn greet(Upgrade { protocol, socket }: Upgrade) -> Option<Self> {
        let mut device = Self {
            hello: Value::Null,
            protocol,
            socket,
            backlog: VecDeque::new(),
            asked: 0,
        };
        device.hello = match device.listen(TIMEOUT).await {
            Received::Frame(hello) => hello,
            Received::Nothing => panic!("{device:?} waited for the hello"),
            Received::Closed(..) => return None,
        };
        assert_eq!(device.hello["type"], "hello", "{}", device.hello);
        Some(device)
    }

    /// The next frame, nothing within the time, or the end.
    pub async fn receive(&mut self, within: Duration) -> Received {
        if let Some(event) = self.backlog.pop_front() {
            return Received::Frame(event);
        }
        self.listen(within).await
    }

    async fn listen(&mut self, within: Duration) -> Received {
        let listening = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Received::Frame(frame::parse(&text));
                    }
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return Received::Closed(frame.code.into(), frame.reason.to_string());
                    }
                    Some(Ok(Message::Close(None))) => return Received::Closed(1005, String::new()),
                    // The library queues a pong and sends it on the next read.
                    Some(Ok(_)) => (),
                    Some(Err(_)) | None => return Received::Closed(1006, String::new()),
                }
            }
        };
        let received = timeout(within, listening).await;
        received.unwrap_or(Received::Nothing)
    }

    /// The next frame from the socket; panics without one.
    async fn frame(&mut self, what: &str) -> Value {
        match self.listen(TIMEOUT).await {
            Received::Frame(frame) => frame,
            other => panic!("{self:?} waited for {what}: {other:?}"),
        }
    }

    pub async fn next(&mut self) -> Value {
        match self.backlog.pop_front() {
            Some(event) => event,
            None => self.frame("an event").await,
        }
    }

    /// The events up to and including the first that satisfies `last`.
    pub async fn events_until(&mut self, mut last: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let Received::Frame(event) = self.receive(TIMEOUT).await else {
                panic!("{self:?} still waits, after {events:#?}");
            };
            events.push(event);
            if events.last().is_some_and(&mut last) {
                return events;
            }
        }
    }

    /// All events within this time.
    pub async fn events_within(&mut self, within: Duration) -> Vec<Value> {
        let deadline = Instant::now() + within;
        let mut events = Vec::new();
        let left = || deadline.duration_since(Instant::now());
        while let Received::Frame(event) = self.receive(left()).await {
            events.push(event);
        }
        events
    }

    /// Sends any WebSocket message.
    pub async fn send_raw(&mut self, message: Message) -> Result<(), Error> {
        let sending = self.socket.send(message);
        timeout(TIMEOUT, sending).await.expect("a frame leaves")
    }

    /// Sends a frame with a new `ref` and waits for the response; events received meanwhile are
    /// kept.
    pub async fn ask(&mut self, frame: &Value) -> Value {
        let answer = self.try_request(frame).await;
        answer.unwrap_or_else(|| panic!("{self:?} got no answer to {frame}"))
    }

    /// The same; `None` if the connection ends.
    pub async fn try_request(&mut self, frame: &Value) -> Option<Value> {
        self.asked += 1;
        let reference = json!(format!("ask-{}", self.asked));
        let mut frame = frame.clone();
        frame["ref"] = reference.clone();
        self.send_raw(Message::text(frame.to_string())).await.ok()?;
        loop {
            match self.listen(TIMEOUT).await {
                Received::Frame(answer) if answer.get("ref") == Some(&reference) => {
                    return Some(answer);
                }
                Received::Frame(event) => self.backlog.push_back(event),
                Received::Nothing | Received::Closed(..) => return None,
            }
        }
    }

    /// Sends a message that must be accepted, and returns it.
    pub async fn send(&mut self, to: &str, body: &str) -> Value {
        let answer = self
            .ask(&json!({"type": "send", "to": to, "body": body}))
            .await;
        assert_eq!(answer["type"], "ack", "{answer}");
        answer["message"].clone()
    }

    /// Waits for the connection to close; returns code and reason.
    pub async fn wait_closed(&mut self) -> (u16, String) {
        loop {
            match self.listen(TIMEOUT).await {
                Received::Closed(code, reason) => return (code, reason),
                Received::Frame(event) => self.backlog.push_back(event),
                Received::Nothing => panic!("{self:?} was not let go"),
            }
        }
    }

    /// Sends a close frame and waits for the response.
    pub async fn close(mut self) {
        let _ = self.send_raw(Message::Close(None)).await;
        self.wait_closed().await;
    }
}
