//! Whose turn it is, of something that is said and has to be answered.

/// For how many seconds an answer is waited for; the connection is given up then.
const TIMEOUT: u32 = 15;
/// After how many seconds it is said again, if the service could not take it just then.
const RETRY_DELAY: u32 = 2;

/// Said or not.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum PendingRequest {
    /// It may be said.
    #[default]
    Ours,
    /// It was said so many seconds ago.
    Theirs(u32),
    /// It may be said again in so many seconds.
    Paused(u32),
}

impl PendingRequest {
    /// Takes the turn, if it is ours.
    pub fn take(&mut self) -> bool {
        let ours = *self == PendingRequest::Ours;
        if ours {
            *self = PendingRequest::Theirs(0);
        }
        ours
    }

    /// Gives it back for a while.
    pub fn pause(&mut self) {
        *self = PendingRequest::Paused(RETRY_DELAY);
    }

    /// A second passes; whether an answer is overdue.
    pub fn second(&mut self) -> bool {
        match self {
            PendingRequest::Ours => (),
            PendingRequest::Theirs(seconds) => {
                *seconds += 1;
                return *seconds > TIMEOUT;
            }
            PendingRequest::Paused(0 | 1) => *self = PendingRequest::Ours,
            PendingRequest::Paused(seconds) => *seconds -= 1,
        }
        false
    }
}
