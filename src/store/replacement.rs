//! Replacement of messages. JSON is parsed and serialized here, not in Lua, and a script compares and swaps.

use chrono::Utc;

use super::RateLimited;
use crate::error::{Code, Error};
use crate::model::{Message, Precondition, StoredMessage};

/// How often a replacement is tried while the message changes concurrently.
const ATTEMPTS: usize = 5;

/// What is to be stored in place of a message.
enum Rewritten {
    /// This message, which can be the same.
    New(StoredMessage),
    /// Nothing: the message has expired and is not deleted yet, so it does not change. Its tombstone.
    Expired(StoredMessage),
}

/// Replaces a message by the result of `rewrite`; `None` changes nothing. If the message has changed concurrently,
/// `rewrite` runs again on the new message.
///
/// `first` is the message as it was read, with the charge, so that a refusal costs the caller too. `read` reads it again
/// as it is stored. `swap` stores the second message if the first one is still stored.
pub(super) async fn replace(
    first: RateLimited<StoredMessage>,
    precondition: &Precondition,
    rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
    read: impl AsyncFn() -> Result<RateLimited<StoredMessage>, Error>,
    swap: impl AsyncFn(&str, &str) -> Result<RateLimited<String>, Error>,
) -> Result<RateLimited<StoredMessage>, Error> {
    let RateLimited {
        value: mut old,
        quota,
    } = first;
    for _ in 0..ATTEMPTS {
        let new = match rewritten(&old, precondition, &rewrite)? {
            Rewritten::New(message) => message,
            Rewritten::Expired(value) => return Ok(RateLimited { value, quota }),
        };
        match swap(&old.0, &new.0).await {
            Err(error) if error.code == Code::MessageChanged => {}
            Err(error) => return Err(error),
            Ok(RateLimited { value, .. }) => {
                let value = StoredMessage(value);
                return Ok(RateLimited { value, quota });
            }
        }
        old = read().await?.value;
    }
    Err(Code::MessageChanged.into())
}

/// The result of `rewrite` for a stored message.
fn rewritten(
    old: &StoredMessage,
    precondition: &Precondition,
    rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
) -> Result<Rewritten, Error> {
    let shown = old.clone().at(Utc::now());
    let new = rewrite(shown.parse()?)?;
    // Checked last, because other errors take precedence (RFC 9110 section 13.2.1).
    if !precondition.is_met_by(&shown) {
        return Err(Code::PreconditionFailed.into());
    }
    Ok(match new {
        Some(message) => Rewritten::New(message.to_stored()?),
        None if shown != *old => Rewritten::Expired(shown),
        None => Rewritten::New(shown),
    })
}
