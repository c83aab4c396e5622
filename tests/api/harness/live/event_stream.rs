//! A client of server-sent events, as docs/live.md and the HTML standard (section 9.2) specify
//! them.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

use crate::harness::TestApp;
use crate::harness::http::response::ApiResponse;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Received, TIMEOUT};
use crate::harness::live::frame;

/// Longer than any test: the client's default timeout covers a whole response, and this one does
/// not end.
const FOREVER: Duration = Duration::from_secs(3600);

/// An open `GET /events/stream`.
pub struct EventStream {
    /// The first event.
    pub hello: Value,
    /// The `id` of the last event, which a browser would send as `Last-Event-ID`.
    pub last_id: String,
    pub comments: Vec<String>,
    /// Milliseconds after which a client reconnects.
    pub retry: Option<u64>,
    response: Response,
    /// Bytes that are read but not yet parsed.
    rest: Vec<u8>,
    data: Vec<String>,
}

impl EventStream {
    /// Opens a stream of a service without credentials.
    pub async fn open(app: &TestApp, user: &str, last_event_id: Option<&str>) -> Self {
        let mut options = ConnectOptions::new(&app.address).user(user);
        if let Some(id) = last_event_id {
            options = options.header("last-event-id", id);
        }
        Self::try_open(&options).await.expect("to be let in")
    }

    /// Opens a stream that may be refused.
    pub async fn try_open(options: &ConnectOptions) -> Result<Self, ApiResponse> {
        let request = options.request("/events/stream", &[]);
        let response = request.timeout(FOREVER).send().await.unwrap();
        if response.status() != 200 {
            return Err(ApiResponse::read(response).await);
        }
        let media_type = &response.headers()["content-type"];
        assert_eq!(media_type, "text/event-stream; charset=utf-8");
        let mut stream = Self {
            hello: Value::Null,
            last_id: String::new(),
            comments: Vec::new(),
            retry: None,
            response,
            rest: Vec::new(),
            data: Vec::new(),
        };
        stream.hello = stream.next().await;
        assert_eq!(stream.hello["type"], "hello", "{}", stream.hello);
        Ok(stream)
    }

    pub async fn next(&mut self) -> Value {
        match self.receive(TIMEOUT).await {
            Received::Frame(event) => event,
            other => panic!("waited for an event: {other:?}"),
        }
    }

    /// The next event, nothing within the time, or the end of the stream.
    pub async fn receive(&mut self, within: Duration) -> Received {
        let listening = async {
            loop {
                while let Some(line) = self.line() {
                    if let Some(event) = self.understand(&line) {
                        return Received::Frame(event);
                    }
                }
                match self.response.chunk().await {
                    Ok(Some(chunk)) => self.rest.extend(chunk),
                    Ok(None) => return Received::Closed(1000, String::new()),
                    Err(_) => return Received::Closed(1006, String::new()),
                }
            }
        };
        let received = timeout(within, listening).await;
        received.unwrap_or(Received::Nothing)
    }

    /// A complete line, without its line break.
    fn line(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|b| *b == b'\n')?;
        let line: Vec<u8> = self.rest.drain(..=end).collect();
        let line = String::from_utf8(line).unwrap();
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Parses a line; returns the event if the line completes one.
    fn understand(&mut self, line: &str) -> Option<Value> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data).join("\n");
            return (!data.is_empty()).then(|| frame::parse(&data));
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match name {
            "" => self.comments.push(value),
            "data" => self.data.push(value),
            "id" => self.last_id = value,
            "retry" => self.retry = value.parse().ok(),
            "event" => (),
            other => panic!("no field of an event: {other}"),
        }
        None
    }
}
