//! WebSocket frames of a client (RFC 6455 section 5). An invalid or too large frame is refused by its header,
//! before its payload is read.

use actix_web::web::{Buf, BytesMut};

use crate::model::limits;
use crate::protocol::CloseReason;

/// Maximum size of a message of a client in bytes, in one frame or several.
pub const MAX_MESSAGE: usize = limits::REQUEST;
/// Maximum payload of a control frame in bytes.
const MAX_CONTROL: usize = 125;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

/// A frame with its unmasked payload.
pub struct Frame {
    pub opcode: Opcode,
    /// Whether this is the last frame of its message.
    pub fin: bool,
    pub payload: BytesMut,
}

/// The header of a frame.
struct FrameHeader {
    opcode: Opcode,
    fin: bool,
    /// The size of the header in bytes.
    size: usize,
    /// The size of the payload in bytes.
    length: usize,
    mask: [u8; 4],
}

/// Takes the next frame from the received bytes; `None` if it is not complete. `partial` is the size of the
/// incomplete message before it, if there is one.
pub fn take(bytes: &mut BytesMut, partial: Option<usize>) -> Result<Option<Frame>, CloseReason> {
    let Some(header) = FrameHeader::parse(bytes, partial)? else {
        return Ok(None);
    };
    let total = header.size + header.length;
    if bytes.len() < total {
        bytes.reserve(total - bytes.len());
        return Ok(None);
    }
    bytes.advance(header.size);
    let mut payload = bytes.split_to(header.length);
    for (byte, mask) in payload.iter_mut().zip(header.mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(Frame {
        opcode: header.opcode,
        fin: header.fin,
        payload,
    }))
}

impl FrameHeader {
    fn parse(bytes: &[u8], partial: Option<usize>) -> Result<Option<Self>, CloseReason> {
        let &[first, second, ..] = bytes else {
            return Ok(None);
        };
        let (fin, reserved) = (first & 0x80 != 0, first & 0x70);
        let (masked, short) = (second & 0x80 != 0, usize::from(second & 0x7f));
        let opcode = opcode(first & 0x0f, partial.is_some())?;
        let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        if reserved != 0 || !masked || is_control && (!fin || short > MAX_CONTROL) {
            return Err(CloseReason::ProtocolError);
        }
        let (length, size) = match short {
            126 => (number(bytes.get(2..4)), 4),
            127 => (number(bytes.get(2..10)), 10),
            short => (Some(short), 2),
        };
        let Some(length) = length else {
            return Ok(None);
        };
        if !is_control && length > MAX_MESSAGE.saturating_sub(partial.unwrap_or(0)) {
            return Err(CloseReason::MessageTooLarge);
        }
        let mask = bytes.get(size..size + 4).and_then(|m| m.try_into().ok());
        Ok(mask.map(|mask| Self {
            opcode,
            fin,
            size: size + 4,
            length,
            mask,
        }))
    }
}

/// Parses an opcode. `continues` is whether a message is incomplete.
fn opcode(code: u8, continues: bool) -> Result<Opcode, CloseReason> {
    Ok(match code {
        0 if continues => Opcode::Continuation,
        1 if !continues => Opcode::Text,
        2 if !continues => return Err(CloseReason::BinaryMessage),
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(CloseReason::ProtocolError),
    })
}

/// A big-endian number. Saturates, because such a length is too large for a message anyway.
fn number(bytes: Option<&[u8]>) -> Option<usize> {
    let bytes = bytes?.iter();
    let number = bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Some(usize::try_from(number).unwrap_or(usize::MAX))
}

/// The code of a close frame; `None` if it has none. Refuses codes and reasons that must not be sent (RFC 6455
/// sections 5.5.1 and 7.4).
pub fn close_code(payload: &[u8]) -> Result<Option<u16>, CloseReason> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => return Err(CloseReason::ProtocolError),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(CloseReason::ProtocolError);
    }
    match str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(CloseReason::InvalidUtf8),
    }
}
