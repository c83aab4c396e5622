//! What a client sends on a WebSocket.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Cursor;
use crate::error::{Code, Error};
use crate::model::{IdempotencyKey, MessageInput, Peer, RoomId, Seq, parse_json, parse_value};

/// A name that the client gives to a command. The answer repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(max_length = 64, example = "1")]
pub struct Reference(String);

impl Reference {
    /// A name of at most 64 characters; `None` if it is longer.
    pub fn new(name: String) -> Option<Self> {
        (name.chars().count() <= 64).then_some(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message of a client: a text message of a WebSocket.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientMessage {
    /// Repeated in the answer. A command without a `ref`, other than `ping`, is answered only if
    /// it is refused.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reference: Option<Reference>,
    /// The command.
    #[serde(flatten)]
    pub command: Command,
}

/// A command of a client.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Send a message, as `POST /messages` does.
    #[schema(title = "SendCommand", example = json!({
        "type": "send", "ref": "1", "to": "bob", "body": "Lunch?", "idempotency_key": "7f9c2ba4"
    }))]
    Send(Box<OutgoingMessage>),
    /// Mark a conversation as read up to a message.
    #[schema(title = "ReadCommand", example = json!({
        "type": "read", "ref": "2", "peer": "bob", "seq": 7
    }))]
    Read(ReadReceipt),
    /// Acknowledge that messages were received, up to a message.
    #[schema(title = "DeliveredCommand", example = json!({
        "type": "delivered", "ref": "3", "peer": "bob", "seq": 7
    }))]
    Delivered(Receipt),
    /// Tell the peer that the user is typing.
    #[schema(title = "TypingCommand", example = json!({"type": "typing", "peer": "bob"}))]
    Typing {
        /// The other user of the conversation, or a room.
        peer: Peer,
    },
    /// Watch a room: receive its events as `RoomEvent`s while it is open on the screen, without being a member. A
    /// connection watches at most 64 rooms.
    #[schema(title = "WatchCommand", example = json!({"type": "watch", "ref": "6", "room": "general"}))]
    Watch {
        /// The room.
        room: RoomId,
        /// The cursor of the last event of the room that the client processed. By default the events start now.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, nullable = false, pattern = "^[0-9]{1,16}-[0-9]{1,16}$")]
        after: Option<Cursor>,
    },
    /// Stop watching a room.
    #[schema(title = "UnwatchCommand", example = json!({"type": "unwatch", "ref": "7", "room": "general"}))]
    Unwatch {
        /// The room.
        room: RoomId,
    },
    /// Request an `ack`, to check the connection.
    #[schema(title = "PingCommand", example = json!({"type": "ping", "ref": "4"}))]
    Ping {},
    /// Continue with a fresh token of the same user.
    #[schema(title = "TokenCommand", example = json!({
        "type": "token", "ref": "5", "token": "header.payload.signature"
    }))]
    Token {
        /// The token (JWT).
        token: String,
    },
}

/// A message to send, and the key that makes sending it again safe.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutgoingMessage {
    /// The message. `from` is optional.
    #[serde(flatten)]
    pub message: MessageInput,
    /// The same as the header `Idempotency-Key` over HTTP: 1 to 255 printable ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255)]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// How far a conversation was read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadReceipt {
    /// The other user of the conversation, or a room.
    pub peer: Peer,
    /// The last message that was read.
    pub seq: Seq,
    /// Whether to hide the receipt from the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, default = false)]
    pub private: Option<bool>,
}

/// How far a conversation was received.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The other user of the conversation, or a room.
    pub peer: Peer,
    /// The last message that was received.
    pub seq: Seq,
}

impl ClientMessage {
    /// The JSON that is sent.
    pub fn to_json(&self) -> String {
        // Strings, numbers and objects with string keys: always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a message. An error comes with the `ref` of the message, if that could be read.
    // The only caller destructures the error at once.
    #[allow(clippy::result_large_err)]
    pub fn parse(text: &str) -> Result<Self, (Option<Reference>, Error)> {
        let mut members: Map<String, Value> = parse_json(text.as_bytes()).map_err(|e| (None, e))?;
        let reference = take_reference(&mut members).map_err(|e| (None, e))?;
        match parse_command(members) {
            Ok(command) => Ok(Self { reference, command }),
            Err(error) => Err((reference, error)),
        }
    }
}

/// Reads a command by its type. Serde's tagged enums are not used: they buffer the members, which loses
/// the path of an error.
fn parse_command(mut members: Map<String, Value>) -> Result<Command, Error> {
    let refused = |why| Err(Error::field(Code::InvalidRequest, "/type", why));
    let kind = match members.remove("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => return refused("must be a string"),
        None => return refused("missing field `type`"),
    };
    Ok(match &*kind {
        "send" => {
            let idempotency_key = take_key(&mut members)?;
            let message = parse_value(members.into())?;
            Command::Send(Box::new(OutgoingMessage {
                message,
                idempotency_key,
            }))
        }
        "read" => Command::Read(parse_value(members.into())?),
        "delivered" => Command::Delivered(parse_value(members.into())?),
        "typing" => {
            let TypingMembers { peer } = parse_value(members.into())?;
            Command::Typing { peer }
        }
        "watch" => {
            let WatchMembers { room, after } = parse_value(members.into())?;
            Command::Watch { room, after }
        }
        "unwatch" => {
            let UnwatchMembers { room } = parse_value(members.into())?;
            Command::Unwatch { room }
        }
        "ping" => {
            let PingMembers {} = parse_value(members.into())?;
            Command::Ping {}
        }
        "token" => {
            let TokenMembers { token } = parse_value(members.into())?;
            Command::Token { token }
        }
        _ => {
            return refused(
                "must be one of send, read, delivered, typing, watch, unwatch, ping, token",
            );
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingMembers {
    peer: Peer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchMembers {
    room: RoomId,
    after: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnwatchMembers {
    room: RoomId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PingMembers {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenMembers {
    token: String,
}

fn take_reference(members: &mut Map<String, Value>) -> Result<Option<Reference>, Error> {
    let refused = || {
        let why = "must be a string of at most 64 characters";
        Error::field(Code::InvalidRequest, "/ref", why)
    };
    match members.remove("ref") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Reference::new(name).map(Some).ok_or_else(refused),
        Some(_) => Err(refused()),
    }
}

fn take_key(members: &mut Map<String, Value>) -> Result<Option<IdempotencyKey>, Error> {
    let key = match members.remove("idempotency_key") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(key)) => IdempotencyKey::try_from(key.as_str()),
        Some(_) => Err("must be a string"),
    };
    key.map(Some)
        .map_err(|why| Error::field(Code::InvalidRequest, "/idempotency_key", why))
}
