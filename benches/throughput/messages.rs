//! Users, message bodies, the request that sends a message, and sending without a service.

use duologue::model::{MessageInput, PendingMessage, UserId};
use duologue::store::{ConversationRequest, Store};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::Outcome;

/// Requests in flight where the time of Redis is measured. With a single one a send took 22.2 us instead of 18.3, because
/// other processes use the caches between two calls.
pub const IN_FLIGHT: u32 = 4;
/// Bytes of a message body.
pub const BODY: usize = 100;

/// The user with this number.
pub fn user(number: u32) -> String {
    format!("user{number:05}")
}

/// A body without a number.
pub fn body() -> String {
    "x".repeat(BODY)
}

/// A body that begins with a number, which [`number_of`] reads back.
pub fn numbered_body(number: u32) -> String {
    format!("{number:x<BODY$}")
}

/// The number in a body of [`numbered_body`].
pub fn number_of(body: &str) -> Option<u32> {
    body.split('x').next()?.parse().ok()
}

/// `POST /messages` as bytes of HTTP/1.1.
pub fn send_request(address: &str, from: &str, to: &str, body: &str) -> String {
    let json = format!(r#"{{"from":"{from}","to":"{to}","body":"{body}"}}"#);
    format!(
        "POST /messages HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
}

/// The id of a user.
pub fn id(user: &str) -> Outcome<UserId> {
    Ok(UserId::try_from(user.to_owned())?)
}

/// A message of the first user.
pub fn pending_message(to: &str) -> Outcome<PendingMessage> {
    let input: MessageInput = serde_json::from_value(json!({"to": to, "body": body()}))?;
    Ok(PendingMessage::new(id(&user(0))?, input)?)
}

/// Sends a message of the first user to the second through a store, so that nothing else runs in Redis.
pub async fn send_to_user(store: &Store) -> Outcome<()> {
    let message = pending_message(&user(1))?;
    let request = ConversationRequest {
        user: message.from(),
        peer: &id(&user(1))?,
        charge: None,
    };
    store.send_message(&message, None, request).await?;
    Ok(())
}

/// Does some work several times, with [`IN_FLIGHT`] requests in flight.
pub async fn repeat<F: Future<Output = Outcome<()>>>(
    times: u32,
    work: impl Fn() -> F,
) -> Outcome<()> {
    let share = async || {
        for _ in 0..times / IN_FLIGHT {
            work().await?;
        }
        Ok(())
    };
    try_join_all((0..IN_FLIGHT).map(|_| share()))
        .await
        .map(|_| ())
}
