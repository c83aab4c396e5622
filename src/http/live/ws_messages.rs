//! What a client says on a WebSocket (RFC 6455): messages, put together from frames.
//!
//! The frames are the library's (actix-http). Not actix-ws, which puts messages together too: it
//! comes with a queue of its own for each connection, which took 2 KB of an idle one and cannot be
//! told its bound.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::Stream;
use tokio_util::codec::Decoder;

use crate::protocol::CloseReason;

/// The largest message of a client, in bytes, in one frame or several.
const MAX_MESSAGE: usize = 64 * 1024;

/// What a client said.
pub enum WsMessage {
    /// A text message.
    Text(String),
    /// It wants a sign of life, with these bytes.
    Ping(Bytes),
    /// It gave one.
    Pong,
    /// It wants to leave.
    Close,
}

/// The messages of a client, as they arrive.
pub struct Incoming {
    payload: Payload,
    codec: Codec,
    /// What has arrived of the next frame.
    bytes: BytesMut,
    /// What has arrived of a message in several frames.
    begun: Option<Vec<u8>>,
}

impl Incoming {
    /// What stands in the body of a request that was answered with a handshake.
    pub fn new(payload: Payload) -> Self {
        Self {
            payload,
            codec: Codec::new().max_size(MAX_MESSAGE),
            bytes: BytesMut::new(),
            begun: None,
        }
    }

    /// What the client says next; `None` once it hung up, and why it is to leave if it says what is
    /// not to be said.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WsMessage, CloseReason>>> {
        loop {
            match self.codec.decode(&mut self.bytes) {
                Ok(Some(frame)) => {
                    if let Some(said) = self.put_together(frame).transpose() {
                        return Poll::Ready(Some(said));
                    }
                }
                Ok(None) => match ready!(Pin::new(&mut self.payload).poll_next(cx)) {
                    Some(Ok(more)) => self.bytes.extend_from_slice(&more),
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                Err(ProtocolError::Overflow) => {
                    return Poll::Ready(Some(Err(CloseReason::TooLarge)));
                }
                Err(_) => return Poll::Ready(Some(Err(CloseReason::Garbage))),
            }
        }
    }

    /// What a frame says, if a message ends with it.
    fn put_together(&mut self, frame: Frame) -> Result<Option<WsMessage>, CloseReason> {
        if self.bytes.is_empty() {
            // Most connections are idle; what a message needed is not kept for them.
            self.bytes = BytesMut::new();
        }
        match frame {
            Frame::Text(text) => self.whole(text.into()).map(Some),
            Frame::Continuation(Item::FirstText(part)) if self.begun.is_none() => {
                self.begun = Some(part.into());
                Ok(None)
            }
            Frame::Continuation(Item::Continue(part)) => {
                let begun = self.longer(&part)?;
                self.begun = Some(begun);
                Ok(None)
            }
            Frame::Continuation(Item::Last(part)) => {
                let text = self.longer(&part)?;
                self.whole(text).map(Some)
            }
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                Err(CloseReason::Binary)
            }
            Frame::Continuation(Item::FirstText(_)) => Err(CloseReason::Garbage),
            Frame::Ping(bytes) => Ok(Some(WsMessage::Ping(bytes))),
            Frame::Pong(_) => Ok(Some(WsMessage::Pong)),
            Frame::Close(_) => Ok(Some(WsMessage::Close)),
        }
    }

    /// The message that was begun, and a part more.
    fn longer(&mut self, part: &[u8]) -> Result<Vec<u8>, CloseReason> {
        let mut begun = self.begun.take().ok_or(CloseReason::Garbage)?;
        if begun.len() + part.len() > MAX_MESSAGE {
            return Err(CloseReason::TooLarge);
        }
        begun.extend_from_slice(part);
        Ok(begun)
    }

    fn whole(&self, text: Vec<u8>) -> Result<WsMessage, CloseReason> {
        // Another message must not begin before the last part of the one before.
        match String::from_utf8(text) {
            Ok(text) if self.begun.is_none() => Ok(WsMessage::Text(text)),
            _ => Err(CloseReason::Garbage),
        }
    }
}
