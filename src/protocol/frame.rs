//! What a client may say on a WebSocket.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Code, Error};
use crate::model::{IdempotencyKey, NewMessage, Seq, UserId, parse_json, parse_value};

/// What a client calls a frame of its own, to know the answer by: up to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ref(String);

/// A frame of a client.
#[derive(Debug)]
pub struct Frame {
    /// What to call it in the answer. Without one only a refusal is answered.
    pub re: Option<Ref>,
    /// What it asks for.
    pub command: Command,
}

/// What a client asks for.
#[derive(Debug)]
pub enum Command {
    /// Send a message.
    Send(NewMessage, Option<IdempotencyKey>),
    /// Mark a conversation as read.
    Read(Receipt),
    /// Acknowledge that messages were received.
    Delivered(Receipt),
    /// Tell the peer that the user is typing.
    Typing(UserId),
    /// Say something back.
    Ping,
    /// Go on with another token.
    Token(String),
}

/// How far a conversation was read or received.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// With whom.
    pub peer: UserId,
    /// Up to and with this message.
    pub seq: Seq,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typing {
    peer: UserId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Frame {
    /// Reads a frame. What is wrong with it is told together with what the client called it.
    pub fn parse(text: &str) -> Result<Self, (Option<Ref>, Error)> {
        let mut members: Map<String, Value> = parse_json(text.as_bytes()).map_err(|e| (None, e))?;
        let re = take_ref(&mut members).map_err(|e| (None, e))?;
        match command(members) {
            Ok(command) => Ok(Self { re, command }),
            Err(error) => Err((re, error)),
        }
    }
}

fn command(mut members: Map<String, Value>) -> Result<Command, Error> {
    let kind = members.remove("type");
    let refused = |why| Err(Error::field(Code::InvalidRequest, "/type", why));
    let kind = match &kind {
        Some(Value::String(kind)) => kind.as_str(),
        Some(_) => return refused("a type is a string"),
        None => return refused("missing field `type`"),
    };
    Ok(match kind {
        "send" => {
            let key = take_key(&mut members)?;
            Command::Send(parse_value(members.into())?, key)
        }
        "read" => Command::Read(parse_value(members.into())?),
        "delivered" => Command::Delivered(parse_value(members.into())?),
        "typing" => Command::Typing(parse_value::<Typing>(members.into())?.peer),
        "ping" => {
            let Nothing {} = parse_value(members.into())?;
            Command::Ping
        }
        "token" => Command::Token(parse_value::<Token>(members.into())?.token),
        _ => return refused("a type is one of send, read, delivered, typing, ping, token"),
    })
}

fn take_ref(members: &mut Map<String, Value>) -> Result<Option<Ref>, Error> {
    match members.remove("ref") {
        None => Ok(None),
        Some(Value::String(re)) if re.chars().count() <= 64 => Ok(Some(Ref(re))),
        Some(_) => {
            let why = "a ref is a string of up to 64 characters";
            Err(Error::field(Code::InvalidRequest, "/ref", why))
        }
    }
}

fn take_key(members: &mut Map<String, Value>) -> Result<Option<IdempotencyKey>, Error> {
    let key = match members.remove("idempotency_key") {
        None => return Ok(None),
        Some(Value::String(key)) => IdempotencyKey::try_from(key.as_str()),
        Some(_) => Err("an idempotency key is a string"),
    };
    key.map(Some)
        .map_err(|why| Error::field(Code::InvalidRequest, "/idempotency_key", why))
}
