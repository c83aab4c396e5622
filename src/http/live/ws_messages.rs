//! WebSocket messages of a client (RFC 6455), assembled from frames.
//!
//! Messages are assembled here and not by actix-ws, whose queue costs each idle connection 2 KB and
//! has a fixed bound.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::Stream;

use super::ws_frames::{self, Frame, Opcode};
use crate::protocol::CloseReason;

/// A message or a control frame of a client.
pub enum WsMessage {
    Text(String),
    /// A ping, with the payload that the pong repeats.
    Ping(Bytes),
    Pong,
    /// A close frame, with its code if it has one.
    Close(Option<u16>),
}

/// Reads the messages of a client as they arrive.
pub struct WsReader {
    payload: Payload,
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
            bytes: BytesMut::new(),
            partial: None,
        }
    }

    /// Polls for the next message: `None` after the client disconnected, an error if the client
    /// violates the protocol.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WsMessage, CloseReason>>> {
        loop {
            let partial = self.partial.as_ref().map(Vec::len);
            match ws_frames::take(&mut self.bytes, partial) {
                Ok(Some(frame)) => {
                    if let Some(message) = self.assemble(frame).transpose() {
                        return Poll::Ready(Some(message));
                    }
                }
                Ok(None) => match ready!(Pin::new(&mut self.payload).poll_next(cx)) {
                    Some(Ok(more)) => self.bytes.extend_from_slice(&more),
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                Err(reason) => return Poll::Ready(Some(Err(reason))),
            }
        }
    }

    /// Adds a frame; returns the message, if it is complete.
    fn assemble(&mut self, frame: Frame) -> Result<Option<WsMessage>, CloseReason> {
        if self.bytes.is_empty() {
            // Most connections are idle and need no buffer.
            self.bytes = BytesMut::new();
        }
        let Frame {
            opcode,
            fin,
            payload,
        } = frame;
        match opcode {
            Opcode::Ping => Ok(Some(WsMessage::Ping(payload.freeze()))),
            Opcode::Pong => Ok(Some(WsMessage::Pong)),
            Opcode::Close => {
                let code = ws_frames::close_code(&payload)?;
                Ok(Some(WsMessage::Close(code)))
            }
            Opcode::Text | Opcode::Continuation => {
                let mut text = self.partial.take().unwrap_or_default();
                text.extend_from_slice(&payload);
                if !fin {
                    self.partial = Some(text);
                    return Ok(None);
                }
                let text = String::from_utf8(text).map_err(|_| CloseReason::InvalidUtf8)?;
                Ok(Some(WsMessage::Text(text)))
            }
        }
    }
}
