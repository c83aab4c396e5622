//! Requests that may be sent again.

use serde::Serialize;

use super::{ClientId, limits};

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

    /// The key of a header: a string of RFC 8941 in quotes, or, as most clients send it, bare.
    pub fn from_header(value: &str) -> Result<Self, &'static str> {
        if !value.starts_with('"') {
            return Self::try_from(value);
        }
        let item = sfv::Parser::new(value).parse::<sfv::Item>().ok();
        let text = item.as_ref().and_then(|item| item.bare_item.as_string());
        let text = text.ok_or("a key in quotes is a string of RFC 8941")?;
        Self::try_from(text.as_str())
    }
}

/// The client's name of a message also marks the request that sends it.
impl From<&ClientId> for IdempotencyKey {
    fn from(id: &ClientId) -> Self {
        Self(id.as_str().to_owned())
    }
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(key: &str) -> Result<Self, Self::Error> {
        let printable = |b: u8| (b' '..=b'~').contains(&b);
        if (1..=limits::IDEMPOTENCY_KEY).contains(&key.len()) && key.bytes().all(printable) {
            Ok(Self(key.to_owned()))
        } else {
            Err("an idempotency key is 1 to 255 printable ASCII characters")
        }
    }
}
