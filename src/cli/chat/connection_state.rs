//! Whether the WebSocket is up, when it counts as dead, and how many attempts failed in a row.

/// A connection that lasted this many seconds resets the failure count.
const STABLE_AFTER: u32 = 10;
/// WebSocket close code 1012: the service restarts, so the client reconnects without backoff.
const SERVICE_RESTART: u16 = 1012;
/// Heartbeat interval in seconds unless the service announces another.
const DEFAULT_HEARTBEAT: u32 = 25;

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

    /// Records the service's hello; returns whether this is a reconnect.
    pub fn set_connected(&mut self, heartbeat: Option<u32>) -> bool {
        let reconnected = self.ever_connected;
        *self = Self {
            connected: true,
            ever_connected: true,
            failures: self.failures,
            connected_for: 0,
            silent_for: 0,
            heartbeat: heartbeat.unwrap_or(DEFAULT_HEARTBEAT).max(1),
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
        self.failures = match close_code {
            Some(SERVICE_RESTART) => 0,
            _ if self.connected_for >= STABLE_AFTER => 1,
            _ => self.failures + 1,
        };
        (self.connected, self.connected_for) = (false, 0);
        was_connected
    }

    /// Counts a second; returns whether the connection is dead: silent for over two heartbeats.
    pub fn tick(&mut self) -> bool {
        if !self.connected {
            return false;
        }
        self.connected_for += 1;
        self.silent_for += 1;
        self.silent_for > 2 * self.heartbeat
    }
}
