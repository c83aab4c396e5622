//! WebSocket messages of a client (RFC 6455), assembled from frames.
//!
//! Frames are decoded by actix-http. Messages are assembled here and not by actix-ws, whose queue
//! costs each idle connection 2 KB and has a fixed bound.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::Stream;
use tokio_util::codec::Decoder;

use crate::model::limits;
use crate::protocol::CloseReason;

/// The largest message of a client, in bytes, in one frame or several.
const MAX_MESSAGE: usize = limits::REQUEST;

/// A message or a control frame of a client.
pub enum WsMessage {
    /// A text message.
    Text(String),
    /// A ping, with the payload that the pong repeats.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close frame.
    Close,
}

/// Reads the messages of a client as they arrive.
pub struct WsReader {
    payload: Payload,
    codec: Codec,
    /// The beginning of the next frame.
    bytes: BytesMut,
    /// The beginning of a message in several frames.
    partial: Option<Vec<u8>>,
}

impl WsReader {
    /// Reads from the body of a request that was upgraded.
    pub fn new(payload: Payload) -> Self {
        Self {
            payload,
            codec: Codec::new().max_size(MAX_MESSAGE),
            bytes: BytesMut::new(),
            partial: None,
        }
    }

    /// Polls for the next message: `None` after the client disconnected, an error if the client
    /// violates the protocol.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WsMessage, CloseReason>>> {
        loop {
            match self.codec.decode(&mut self.bytes) {
                Ok(Some(frame)) => {
                    if let Some(message) = self.assemble(frame).transpose() {
                        return Poll::Ready(Some(message));
                    }
                }
                Ok(None) => match ready!(Pin::new(&mut self.payload).poll_next(cx)) {
                    Some(Ok(more)) => self.bytes.extend_from_slice(&more),
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                Err(ProtocolError::Overflow) => {
                    return Poll::Ready(Some(Err(CloseReason::MessageTooLarge)));
                }
                Err(_) => return Poll::Ready(Some(Err(CloseReason::ProtocolError))),
            }
        }
    }

    /// Adds a frame; returns the message, if it is complete.
    fn assemble(&mut self, frame: Frame) -> Result<Option<WsMessage>, CloseReason> {
        if self.bytes.is_empty() {
            // Most connections are idle and need no buffer.
            self.bytes = BytesMut::new();
        }
        match frame {
            Frame::Text(text) => self.complete(text.into()).map(Some),
            Frame::Continuation(Item::FirstText(part)) if self.partial.is_none() => {
                self.partial = Some(part.into());
                Ok(None)
            }
            Frame::Continuation(Item::Continue(part)) => {
                let partial = self.append(&part)?;
                self.partial = Some(partial);
                Ok(None)
            }
            Frame::Continuation(Item::Last(part)) => {
                let text = self.append(&part)?;
                self.complete(text).map(Some)
            }
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                Err(CloseReason::BinaryMessage)
            }
            Frame::Continuation(Item::FirstText(_)) => Err(CloseReason::ProtocolError),
            Frame::Ping(bytes) => Ok(Some(WsMessage::Ping(bytes))),
            Frame::Pong(_) => Ok(Some(WsMessage::Pong)),
            Frame::Close(_) => Ok(Some(WsMessage::Close)),
        }
    }

    /// Takes the partial message, with a part more.
    fn append(&mut self, part: &[u8]) -> Result<Vec<u8>, CloseReason> {
        let mut partial = self.partial.take().ok_or(CloseReason::ProtocolError)?;
        if partial.len() + part.len() > MAX_MESSAGE {
            return Err(CloseReason::MessageTooLarge);
        }
        partial.extend_from_slice(part);
        Ok(partial)
    }

    /// A complete text message. One message must not begin before the one before it ends.
    fn complete(&self, text: Vec<u8>) -> Result<WsMessage, CloseReason> {
        match String::from_utf8(text) {
            Ok(text) if self.partial.is_none() => Ok(WsMessage::Text(text)),
            _ => Err(CloseReason::ProtocolError),
        }
    }
}
