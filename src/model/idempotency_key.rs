//! Keys that make a request safe to repeat.

use serde::Serialize;

use super::{ClientId, limits};

/// The key of a request that takes effect once, however often it is sent (`Idempotency-Key`,
/// draft-ietf-httpapi-idempotency-key-header): 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the header: a quoted string of RFC 8941, or the bare key, which most clients send.
    pub fn from_header(value: &str) -> Result<Self, &'static str> {
        if !value.starts_with('"') {
            return Self::try_from(value);
        }
        let item = sfv::Parser::new(value).parse::<sfv::Item>().ok();
        let text = item.as_ref().and_then(|item| item.bare_item.as_string());
        let text = text.ok_or("a quoted key must be a string of RFC 8941")?;
        Self::try_from(text.as_str())
    }
}

/// Without an `Idempotency-Key` the client id of a message is the key of the request that sends it.
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
            Err("must have 1 to 255 printable ASCII characters")
        }
    }
}
