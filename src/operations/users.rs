//! Export and erasure of all data of a user.

use std::collections::VecDeque;

use serde_json::json;

use super::Operations;
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{ConversationMetadata, Erasure, ExportLine, InboxEntry, Peer, Seq, UserId};
use crate::store::Store;

impl Operations {
    /// Begins an export of all data of `user`.
    pub async fn export_user(&self, caller: &Caller, user: UserId) -> Result<Export, Error> {
        let charge = self.authorize_request(caller, &user)?;
        self.store.charge_several(charge.as_ref()).await?;
        Ok(Export {
            user,
            store: Store::clone(&self.store),
            cursor: Some("0".into()),
            pending: VecDeque::new(),
        })
    }

    /// Erases a user: their messages become tombstones, and their reactions and their inbox are deleted.
    /// For backends. Stops after some seconds with `done: false`; calling again continues.
    pub async fn erase_user(&self, caller: &Caller, user: &UserId) -> Result<Erasure, Error> {
        caller.require_backend()?;
        self.store.erase_user(user).await
    }
}

/// A conversation to export.
struct ExportStep {
    peer: Peer,
    entry: InboxEntry,
    /// The position to continue at.
    after: Seq,
}

/// An export in progress: the conversations found, and what is still to be read.
pub struct Export {
    user: UserId,
    store: Store,
    /// Where the scan of conversations continues; `None` at its end.
    cursor: Option<String>,
    /// Conversations to read, each with the position to continue at.
    pending: VecDeque<ExportStep>,
}

impl Export {
    /// The next lines (NDJSON); `None` at the end.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            self.find_more().await?;
            let Some(step) = self.pending.pop_front() else {
                return Ok(None);
            };
            let lines = self.export(step).await?;
            // A part of a room can have no message of the user.
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
    }

    /// Looks for conversations if none is pending.
    async fn find_more(&mut self) -> Result<(), Error> {
        while self.pending.is_empty() {
            let Some(cursor) = self.cursor.take() else {
                break;
            };
            let (peers, next) = self.store.scan_conversations(&self.user, &cursor).await?;
            self.cursor = next;
            let found = peers.into_iter().map(|(peer, row)| ExportStep {
                peer,
                entry: row.entry,
                after: Seq::default(),
            });
            self.pending.extend(found);
        }
        Ok(())
    }

    /// The lines of a part of a conversation. Of a room these are the messages of the user.
    async fn export(&mut self, step: ExportStep) -> Result<String, Error> {
        let ExportStep { peer, entry, after } = &step;
        let (store, user) = (&self.store, &self.user);
        let page = match peer {
            Peer::User(peer) => store.export_messages(user, peer, *after).await?,
            Peer::Room(room) => {
                let only_own = true;
                store
                    .export_room_messages(user, room, *after, only_own)
                    .await?
            }
        };
        let mut lines = String::new();
        if *after == Seq::default() {
            lines = self.conversation_line(peer, entry).await?;
        }
        for message in page.messages {
            lines.push_str("{\"message\":");
            lines.push_str(&message.0);
            lines.push_str("}\n");
        }
        if let Some(after) = page.next {
            self.pending.push_front(ExportStep { after, ..step });
        }
        Ok(lines)
    }

    /// The first line of a conversation: the peer and the settings of the user.
    async fn conversation_line(&self, peer: &Peer, entry: &InboxEntry) -> Result<String, Error> {
        let mut metadata = None;
        if entry.flags.has_metadata() {
            let stored = self.store.read_metadata(&self.user, &[peer]).await?;
            metadata = ConversationMetadata::parse(&stored.concat())?;
        }
        let line = ExportLine::conversation(peer.clone(), entry, metadata);
        Ok(format!("{}\n", json!(line)))
    }
}
