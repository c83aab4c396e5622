//! Removal of expired messages from conversations that nobody writes to.

use super::change::ConversationRequest;
use super::script::TRIM_CONVERSATION;
use super::{Node, Store, administered};
use crate::error::Error;
use crate::model::{Pair, RoomName, UserId};

/// The outcome of one call of [`Store::trim_conversation`].
#[derive(Default)]
pub struct Trimmed {
    /// The number of messages removed.
    pub dropped: u64,
    /// Whether another call may remove more.
    pub more: bool,
}

impl Trimmed {
    /// Maximum number of messages that one call removes.
    pub(super) const STEP: u64 = 50;

    /// The outcome of a call that removed so many messages.
    pub(super) fn of(dropped: u64) -> Self {
        Self {
            dropped,
            more: dropped == Self::STEP,
        }
    }
}

/// A conversation that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundConversation {
    Pair(UserId, UserId),
    Room(RoomName),
}

impl FoundConversation {
    /// The conversation of a key `dm:{tag}:messages:<pair>` or `dm:{tag}:messages:<room>`.
    fn of_key(key: &str) -> Option<Self> {
        let name = key.splitn(4, ':').nth(3)?;
        let room = RoomName::parse(name).map(Self::Room);
        room.or_else(|| Pair::parse(name).map(|(first, second)| Self::Pair(first, second)))
    }
}

impl Store {
    /// Removes the oldest expired messages of one conversation: at most 50, because one can have 110 KB.
    pub async fn trim_conversation(
        &self,
        first: &UserId,
        second: &UserId,
    ) -> Result<Trimmed, Error> {
        let request = ConversationRequest {
            user: first,
            peer: second,
            charge: None,
        };
        if !self.retention.is_limited() {
            return Ok(Trimmed::default());
        }
        let limit = Trimmed::STEP.to_string();
        let trimmed = self
            .change::<u64>(&TRIM_CONVERSATION, request, &[&limit])
            .await?;
        Ok(Trimmed::of(trimmed.value))
    }

    /// One step of a scan over all conversations of a node: the next cursor (0 at the end) and the conversations
    /// found, some of them possibly twice.
    pub async fn scan_node(
        &self,
        node: &Node,
        cursor: u64,
    ) -> Result<(u64, Vec<FoundConversation>), Error> {
        let scan = async {
            let mut connection = self.topology.pooled_connection(node).await?;
            let mut command = redis::cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg("dm:*:messages:*")
                .arg("COUNT")
                .arg(500);
            let step = command
                .query_async::<(u64, Vec<String>)>(&mut connection)
                .await;
            step.map_err(|e| e.to_string())
        };
        let (next, keys) = administered(scan).await?;
        let found = keys.iter().filter_map(|key| FoundConversation::of_key(key));
        Ok((next, found.collect()))
    }
}
