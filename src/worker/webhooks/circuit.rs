//! Whether the endpoint of a webhook is worth a request, as a state machine without sockets and clocks.
//!
//! Times are milliseconds of any clock that does not run backwards.

use crate::store::OPEN_CIRCUIT;

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// The longest wait between two probes, in first waits: 10 minutes if the first is 5 s.
const LONGEST: u64 = 120;
/// The longest wait that an endpoint may ask for: an hour.
pub(super) const LONGEST_RETRY_AFTER_MS: u64 = 3_600_000;

/// A circuit breaker of one endpoint. Closed, everything is sent. After five failures in a row it opens: then a single
/// event is tried at a time, the probe, after waits that double, until the endpoint takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    first_wait_ms: u64,
    state: CircuitState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CircuitState {
    /// The failures since the endpoint took an event.
    Closed(u32),
    Open {
        /// How long to wait if the next probe fails.
        wait_ms: u64,
        next_at: u64,
        is_probing: bool,
    },
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Everything,
    /// One event.
    Probe,
    /// Nothing before this time.
    NothingUntil(u64),
    /// Nothing before the outcome of the probe.
    Nothing,
}

impl Circuit {
    /// A closed circuit, which waits so long between its first two probes.
    pub fn new(first_wait_ms: u64) -> Self {
        Self {
            first_wait_ms,
            state: CircuitState::Closed(0),
        }
    }

    /// A circuit from the text of another process, whose clock may be wrong; a closed one if there is none.
    pub fn restore(first_wait_ms: u64, text: &str, now: u64) -> Self {
        let mut circuit = Self::new(first_wait_ms);
        let mut parts = text.split('|');
        let is_open = parts.next() == Some(OPEN_CIRCUIT);
        let mut number = || parts.next()?.parse().ok();
        if let (true, Some(wait_ms), Some(next_at)) = (is_open, number(), number()) {
            circuit.state = CircuitState::Open {
                wait_ms,
                next_at: next_at.min(now + LONGEST_RETRY_AFTER_MS),
                is_probing: false,
            };
        }
        circuit
    }

    /// The text for another process.
    pub fn to_text(self) -> String {
        match self.state {
            CircuitState::Closed(_) => "closed".to_owned(),
            CircuitState::Open {
                wait_ms, next_at, ..
            } => format!("{OPEN_CIRCUIT}|{wait_ms}|{next_at}"),
        }
    }

    /// What may be sent now.
    pub fn permission(self, now: u64) -> Permission {
        match self.state {
            CircuitState::Closed(_) => Permission::Everything,
            CircuitState::Open {
                is_probing: true, ..
            } => Permission::Nothing,
            CircuitState::Open { next_at, .. } if now < next_at => {
                Permission::NothingUntil(next_at)
            }
            CircuitState::Open { .. } => Permission::Probe,
        }
    }

    /// An event is sent as the probe.
    pub fn begin_probe(&mut self) {
        if let CircuitState::Open { is_probing, .. } = &mut self.state {
            *is_probing = true;
        }
    }

    /// The endpoint took an event.
    pub fn succeed(&mut self) {
        self.state = CircuitState::Closed(0);
    }

    /// The endpoint did not take an event. `retry_after_ms` is how long it asks to wait. Returns whether this counts as
    /// an attempt to send the event: not if the endpoint as a whole does not take events.
    pub fn fail(&mut self, now: u64, is_probe: bool, retry_after_ms: Option<u64>) -> bool {
        match &mut self.state {
            CircuitState::Closed(failures) => {
                *failures += 1;
                let is_open = *failures >= FAILURES || retry_after_ms.is_some();
                if is_open {
                    self.state = CircuitState::Open {
                        wait_ms: 2 * self.first_wait_ms,
                        next_at: now + retry_after_ms.unwrap_or(self.first_wait_ms),
                        is_probing: false,
                    };
                }
                retry_after_ms.is_none()
            }
            CircuitState::Open {
                wait_ms,
                next_at,
                is_probing,
            } => {
                if is_probe {
                    *is_probing = false;
                    *next_at = now + *wait_ms;
                    *wait_ms = (2 * *wait_ms).min(LONGEST * self.first_wait_ms);
                }
                // An event that was sent before the circuit opened only extends the wait.
                *next_at = (*next_at).max(now + retry_after_ms.unwrap_or_default());
                false
            }
        }
    }
}
