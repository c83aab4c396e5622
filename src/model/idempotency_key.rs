//! Requests that may be sent again.

use serde::Serialize;

/// What a client marks a request with, so that sending it again does not do it again
/// (`Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header): 1 to 255 printable ASCII
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(key: &str) -> Result<Self, Self::Error> {
        let printable = |b: u8| (b' '..=b'~').contains(&b);
        if (1..=255).contains(&key.len()) && key.bytes().all(printable) {
            Ok(Self(key.to_owned()))
        } else {
            Err("an idempotency key is 1 to 255 printable ASCII characters")
        }
    }
}
