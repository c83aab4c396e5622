//! The state of the WebSocket: connected, unresponsive, number of consecutive failures.

use crate::protocol::CloseReason;

/// A connection that lasted this many seconds resets the failure count.
const STABLE_AFTER: u32 = 10;

/// State of the connection; all durations are in seconds.
#[derive(Debug, Default)]
pub struct ConnectionState {
    connected: bool,
    ever_connected: bool,
    /// Consecutive attempts that failed or did not last; determines the backoff.
    failures: u32,
    connected_for: u32,
    silent_for: u32,
    heartbeat: u32,
}

impl ConnectionState {
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn was_ever_connected(&self) -> bool {
        self.ever_connected
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Records the service's hello, which announces the heartbeat interval; returns whether this is
    /// a reconnect.
    pub fn set_connected(&mut self, heartbeat: u8) -> bool {
        let reconnected = self.ever_connected;
        *self = Self {
            connected: true,
            ever_connected: true,
            failures: self.failures,
            connected_for: 0,
            silent_for: 0,
            heartbeat: u32::from(heartbeat).max(1),
        };
        reconnected
    }

    /// Records that the service sent something.
    pub fn record_activity(&mut self) {
        self.silent_for = 0;
    }

    /// Records a lost connection or a failed attempt; returns whether it was connected until now.
    pub fn set_disconnected(&mut self, close_code: Option<u16>) -> bool {
        let was_connected = self.connected;
        // A service that restarts is back soon, so the client reconnects without backoff.
        self.failures = if close_code == Some(CloseReason::Restart.code()) {
            0
        } else if self.connected_for >= STABLE_AFTER {
            1
        } else {
            self.failures + 1
        };
        (self.connected, self.connected_for) = (false, 0);
        was_connected
    }

    /// Counts a second; returns whether the connection is lost: silent for more than two heartbeats.
    pub fn tick(&mut self) -> bool {
        if !self.connected {
            return false;
        }
        self.connected_for += 1;
        self.silent_for += 1;
        self.silent_for > 2 * self.heartbeat
    }
}
