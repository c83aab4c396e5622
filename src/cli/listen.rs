//! `duologue listen`: writes the events of a subscription to the standard output, a line of JSON each.
//!
//! Events are acknowledged after they were written and flushed, so a process that is killed and started again misses
//! none. It may write the last batch twice, with the same ids.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{ApiClient, exchange};
use crate::model::{SubscriptionInput, SubscriptionName};
use crate::protocol::Problem;

/// Seconds that the service waits for an event.
const WAIT_S: u8 = 25;
/// Events in a batch.
const LIMIT: u16 = 500;
/// Limit for one exchange, longer than the service waits.
pub const TIMEOUT: Duration = Duration::from_secs(40);
/// Pause before a request is repeated because the service did not answer it.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why listening ends.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot write the events: {0}")]
    Output(#[from] io::Error),
    #[error("the service answered {status}: {detail}")]
    Refused { status: StatusCode, detail: String },
}

/// A batch of events.
#[derive(Deserialize)]
struct Batch {
    events: Vec<Value>,
    lost: u64,
}

/// Reads one subscription.
pub struct SubscriptionReader {
    client: ApiClient,
    path: String,
    consumer: String,
    progress: ProgressBar,
    written: u64,
}

impl SubscriptionReader {
    pub fn new(client: ApiClient, subscription: &SubscriptionName, consumer: String) -> Self {
        Self {
            client,
            path: format!("/subscriptions/{}", subscription.as_str()),
            consumer,
            progress: progress_line(),
            written: 0,
        }
    }

    /// Creates the subscription if it does not exist, and writes its events until the process ends.
    pub async fn listen(mut self, settings: &SubscriptionInput) -> Result<(), ListenError> {
        self.create(settings).await?;
        let mut lost: Option<u64> = None;
        loop {
            self.progress
                .set_message(format!("{} events written", self.written));
            let path = format!(
                "{}/events?consumer={}&limit={LIMIT}&wait={WAIT_S}",
                self.path, self.consumer
            );
            let (status, body) = self.ask(|client| client.request(Method::GET, &path)).await;
            let batch = accepted(status, &body)?;
            let Ok(batch) = serde_json::from_str::<Batch>(batch) else {
                return Err(refused(status, &body));
            };
            let before = lost.replace(batch.lost).unwrap_or(batch.lost);
            if batch.lost > before {
                let more = batch.lost - before;
                self.say(&format!("{more} events were dropped before they were read"));
            }
            self.write(&batch.events)?;
            self.acknowledge(&batch.events).await?;
        }
    }

    /// A subscription that exists keeps its settings.
    async fn create(&self, settings: &SubscriptionInput) -> Result<(), ListenError> {
        let create = |client: &ApiClient| {
            let request = client.request(Method::PUT, &self.path);
            request.header("if-none-match", "*").json(settings)
        };
        match self.ask(create).await {
            (StatusCode::PRECONDITION_FAILED, _) => Ok(()),
            (status, body) => accepted(status, &body).map(|_| ()),
        }
    }

    fn write(&mut self, events: &[Value]) -> io::Result<()> {
        let mut output = io::stdout().lock();
        for event in events {
            writeln!(output, "{event}")?;
        }
        output.flush()?;
        self.written += events.len() as u64;
        Ok(())
    }

    async fn acknowledge(&self, events: &[Value]) -> Result<(), ListenError> {
        let ids: Vec<_> = events.iter().filter_map(|event| event.get("id")).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let path = format!("{}/ack", self.path);
        let body = json!({"consumer": self.consumer, "ids": ids});
        let acknowledge = |client: &ApiClient| client.request(Method::POST, &path).json(&body);
        let (status, body) = self.ask(acknowledge).await;
        accepted(status, &body).map(|_| ())
    }

    /// Sends a request until the service answers it: it may be restarting, or full.
    async fn ask(&self, request: impl Fn(&ApiClient) -> RequestBuilder) -> (StatusCode, String) {
        let mut is_first = true;
        loop {
            let why = match exchange(request(&self.client)).await {
                Ok((status, body)) if !is_temporary(status) => return (status, body),
                Ok((status, body)) => refused(status, &body).to_string(),
                Err(error) => format!("cannot reach the service: {error}"),
            };
            if std::mem::take(&mut is_first) {
                self.say(&format!("{why}; trying again"));
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Prints a line to the standard error, above the progress line.
    fn say(&self, line: &str) {
        self.progress.suspend(|| eprintln!("duologue: {line}"));
    }
}

/// A line on the standard error that says how many events were written, if that is a terminal.
fn progress_line() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let line = ProgressBar::new_spinner();
    // The template is a valid constant. If it were not, the default style would be used.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        line.set_style(style);
    }
    line.enable_steady_tick(Duration::from_millis(200));
    line
}

/// Whether the same request may succeed later.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn accepted(status: StatusCode, body: &str) -> Result<&str, ListenError> {
    if status.is_success() {
        Ok(body)
    } else {
        Err(refused(status, body))
    }
}

fn refused(status: StatusCode, body: &str) -> ListenError {
    let problem = serde_json::from_str::<Problem>(body).ok();
    let detail = problem.map_or_else(|| body.to_owned(), |problem| problem.detail);
    ListenError::Refused { status, detail }
}
