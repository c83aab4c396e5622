//! Conversion of replies into values of the model. Anything malformed was not written by this
//! service.

use crate::error::{Code, Error};
use crate::model::{Seq, UserId};

/// A position in a conversation.
pub(super) fn seq(number: u64) -> Result<Seq, Error> {
    Seq::try_from(number).map_err(|why| Error::new(Code::Internal, why))
}

/// The position of the next page; 0 if there is none.
pub(super) fn cursor(number: u64) -> Result<Option<Seq>, Error> {
    if number == 0 {
        Ok(None)
    } else {
        seq(number).map(Some)
    }
}

/// The peer of an inbox row.
pub(super) fn peer(id: String) -> Result<UserId, Error> {
    UserId::try_from(id).map_err(|why| Error::new(Code::Internal, why))
}
