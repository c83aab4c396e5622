//! What the service sends on a live connection, read by the protocol's own types.

use duologue::protocol::{Event, ServerMessage};
use serde_json::Value;

use crate::harness::contract::assert_live_message_fits;

/// Parses a message of the service. Panics if `ServerMessage` does not hold exactly what was sent, or if
/// the contract does not declare it.
#[track_caller]
pub fn parse(json: &str) -> Value {
    let sent: Value = serde_json::from_str(json).unwrap();
    let message: ServerMessage =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let known = !matches!(message, ServerMessage::Event(Event::Unknown));
    assert!(known, "an unknown type: {json}");
    assert_eq!(serde_json::to_value(&message).unwrap(), sent);
    assert_live_message_fits(&sent);
    sent
}
