//! A backend that sends continuously and retries until each message is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::harness::client;

/// How long one message may take, retries included.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends numbered messages from one user to another until it is stopped.
pub struct LoadGenerator {
    stop: Arc<AtomicBool>,
    /// The number of acknowledged messages.
    pub sent: Arc<AtomicUsize>,
    sending: JoinHandle<()>,
}

impl LoadGenerator {
    /// Each message has an idempotency key and goes to the addresses in turn until one acknowledges
    /// it. Its body is the sender and a number, starting at 0.
    pub fn start(addresses: &[&str], from: &str, to: &str) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let addresses = addresses.iter().map(|a| format!("{a}/messages")).collect();
        let users = [from, to].map(str::to_owned);
        let sending = send(stop.clone(), sent.clone(), addresses, users);
        Self {
            stop,
            sent,
            sending: tokio::spawn(sending),
        }
    }

    /// Waits until `more` messages are acknowledged.
    pub async fn wait_for_sent(&self, more: usize) {
        let goal = self.sent.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + TIMEOUT;
        while self.sent.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < deadline, "nothing more is sent");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops after the current message and returns the number of acknowledged messages.
    pub async fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.sending.await.unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

async fn send(
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    addresses: Vec<String>,
    [from, to]: [String; 2],
) {
    let client = client();
    let mut turns = addresses.iter().cycle();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let body = format!("{from} {n}");
        let message = json!({"from": from, "to": to, "body": body});
        let deadline = Instant::now() + TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "{body} is not accepted");
            let request = client.post(turns.next().unwrap()).json(&message);
            match request.header("idempotency-key", &body).send().await {
                Ok(answer) if answer.status().is_success() => break,
                // The process is down, or died during the request.
                Err(_) => (),
                Ok(answer) => assert_eq!(answer.status(), 503, "{body}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
        sent.fetch_add(1, Ordering::Relaxed);
        // A pause keeps the load below what the machine can take.
        sleep(Duration::from_millis(5)).await;
    }
}
