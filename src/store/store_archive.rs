//! What the store knows about its archive: which messages move there, which conversations may have become long, and whose
//! turn it is to change archived messages.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::timeout;

use crate::archive::Archive;
use crate::error::{Code, Error};
use crate::model::Seq;

/// Maximum number of conversations that wait to be noted as long. More are noted when they are longer still.
const WAITING_LIMIT: usize = 10_000;
/// Number of changes of archived messages that one process makes at the same time, at most.
const TURNS: usize = 64;
/// How long a change may wait for others, which takes long only while the archive hardly answers.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// Which messages are in the archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchivePolicy {
    /// Number of messages of a conversation that stay in Redis; 0 keeps all.
    pub hot: u64,
    /// Number of messages of a segment.
    pub segment: u16,
    /// How long an object is kept after another one has replaced it.
    pub grace: Duration,
}

/// The archive of a store.
pub(super) struct StoreArchive {
    pub archive: Archive,
    pub policy: ArchivePolicy,
    /// The conversations that may have become long.
    waiting: Mutex<HashSet<String>>,
    /// Changes of archived messages of one conversation wait for each other, because each writes a whole segment anew, and
    /// one that another process overtook starts again. Conversations share them.
    turns: [AsyncMutex<()>; TURNS],
}

impl StoreArchive {
    pub fn new(archive: Archive, policy: ArchivePolicy) -> Self {
        Self {
            archive,
            policy,
            waiting: Mutex::default(),
            turns: [const { AsyncMutex::const_new(()) }; TURNS],
        }
    }

    /// Waits until no other task of this process changes archived messages of a conversation. Returns whether it waited.
    pub async fn take_turn(&self, conversation: &str) -> Result<(MutexGuard<'_, ()>, bool), Error> {
        let mut hasher = DefaultHasher::new();
        conversation.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        match self.turns[turn].try_lock() {
            Ok(turn) => Ok((turn, false)),
            Err(_) => match timeout(TURN_TIMEOUT, self.turns[turn].lock()).await {
                Ok(turn) => Ok((turn, true)),
                Err(_) => Err(Code::ArchiveUnavailable.into()),
            },
        }
    }

    /// Notes that a conversation has a message of this seq. Some of its messages may have to move every time when it is
    /// longer by a segment.
    pub fn note_seq(&self, conversation: &str, seq: Seq) {
        let ArchivePolicy { hot, segment, .. } = self.policy;
        if hot > 0 && seq.get() > hot && seq.get().is_multiple_of(segment.into()) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() < WAITING_LIMIT {
                waiting.insert(conversation.to_owned());
            }
        }
    }

    pub fn take_waiting(&self) -> HashSet<String> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }
}
