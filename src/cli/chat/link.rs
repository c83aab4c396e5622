//! What is known of the connection.

/// After how many seconds a connection counts as a good one.
const SETTLED: u32 = 10;
/// The close code of a service that stops, and is soon there again.
const RESTART: u16 = 1012;
/// Seconds between two signs of life, unless the service says otherwise.
const HEARTBEAT: u32 = 25;

/// Whether there is a connection, and how good it is.
#[derive(Debug, Default)]
pub struct ConnectionState {
    up: bool,
    /// Whether it ever was.
    known: bool,
    /// How many connections came to nothing, one after the other.
    failures: u32,
    /// Seconds since it is up.
    age: u32,
    /// Seconds since the last sign of life.
    silence: u32,
    /// Seconds between two of them.
    heartbeat: u32,
}

impl ConnectionState {
    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether there ever was one.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// How many came to nothing.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The service said hello; whether it is not the first time.
    pub fn opened(&mut self, heartbeat: Option<u32>) -> bool {
        let again = self.known;
        *self = Self {
            up: true,
            known: true,
            failures: self.failures,
            age: 0,
            silence: 0,
            heartbeat: heartbeat.unwrap_or(HEARTBEAT).max(1),
        };
        again
    }

    /// The service gave a sign of life.
    pub fn heard(&mut self) {
        self.silence = 0;
    }

    /// There is no connection any more; whether that is new.
    pub fn lost(&mut self, code: Option<u16>) -> bool {
        let news = self.up;
        self.failures = match code {
            Some(RESTART) => 0,
            _ if self.age >= SETTLED => 1,
            _ => self.failures + 1,
        };
        (self.up, self.age) = (false, 0);
        news
    }

    /// A second passes; whether the service was silent for too long.
    pub fn second(&mut self) -> bool {
        if !self.up {
            return false;
        }
        self.age += 1;
        self.silence += 1;
        self.silence > 2 * self.heartbeat
    }
}
