//! A backend that sends under load, and does not give up.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::harness::client;

/// How long one message may take until it is acknowledged.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends numbered messages from one user to another until it is told to stop.
pub struct LoadGenerator {
    stop: Arc<AtomicBool>,
    /// How many were acknowledged.
    pub sent: Arc<AtomicUsize>,
    sending: JoinHandle<()>,
}

impl LoadGenerator {
    /// Each message goes to one of these addresses, with a key, and again until it is acknowledged.
    /// Its body is the sender and a number, from 0.
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

    /// Waits until it has sent so many more.
    pub async fn wait_for_sent(&self, more: usize) {
        let goal = self.sent.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + TIMEOUT;
        while self.sent.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < deadline, "nothing is sent any more");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops after the message under way; answers how many were sent.
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
            assert!(Instant::now() < deadline, "{body} is not taken");
            let request = client.post(turns.next().unwrap()).json(&message);
            match request.header("idempotency-key", &body).send().await {
                Ok(answer) if answer.status().is_success() => break,
                // Nobody is there, or the process died over it.
                Err(_) => (),
                Ok(answer) => assert_eq!(answer.status(), 503, "{body}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
        sent.fetch_add(1, Ordering::Relaxed);
        // It leaves the machine some air.
        sleep(Duration::from_millis(5)).await;
    }
}
