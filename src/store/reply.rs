//! What scripts answer in plain numbers and texts, as values of the model. Anything that does not
//! fit was not written by this service.

use crate::error::{Code, Error};
use crate::model::{Seq, UserId};

/// A place in a conversation.
pub(super) fn seq(number: u64) -> Result<Seq, Error> {
    Seq::try_from(number).map_err(|why| Error::new(Code::Internal, why))
}

/// Where to go on in a conversation; 0 says nowhere.
pub(super) fn cursor(number: u64) -> Result<Option<Seq>, Error> {
    if number == 0 {
        Ok(None)
    } else {
        seq(number).map(Some)
    }
}

/// A peer that stands in a user's inbox.
pub(super) fn peer(id: String) -> Result<UserId, Error> {
    UserId::try_from(id).map_err(|why| Error::new(Code::Internal, why))
}
