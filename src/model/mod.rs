//! The words of the trade as types: valid by construction, without input or output.
//!
//! A value of one of these types was checked when it was made, so nothing below the HTTP layer
//! checks again.

mod conversation;
mod message;
mod object;
mod seq;
mod user;
mod whole;

pub use conversation::{Conversation, Limit, PageQuery, Range};
pub use message::{
    Attachment, Body, Draft, Message, Metadata, NewMessage, StoredMessage, fresh_id,
};
pub use object::Object;
pub use seq::Seq;
pub use user::{Pair, UserId};
