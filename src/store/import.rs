//! Import of messages from another system.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::change::ConversationRequest;
use super::script::IMPORT_MESSAGES;
use crate::error::Error;
use crate::model::{Import, PendingMessage, rfc3339};

/// Maximum number of messages that one script appends, which takes Redis a millisecond or two. Lua
/// limits the number of arguments to some thousands.
const STEP: usize = 500;
/// Conversations to import concurrently.
const CONCURRENCY: usize = 32;

impl Store {
    /// Appends messages to their conversations, ordered by time and read by both users. Skips those
    /// that an earlier attempt appended.
    pub async fn import_messages(&self, messages: Vec<PendingMessage>) -> Result<Import, Error> {
        let total = messages.len() as u64;
        let mut conversations: HashMap<String, Vec<PendingMessage>> = HashMap::new();
        for message in messages {
            conversations
                .entry(message.pair().as_str().to_owned())
                .or_default()
                .push(message);
        }
        for messages in conversations.values_mut() {
            // Positions increase with times; by its time the script recognizes a repeated message.
            messages.sort_by_key(PendingMessage::sent_at);
        }
        let imports = stream::iter(
            conversations
                .into_values()
                .map(|messages| self.import_conversation(messages)),
        );
        let imported = imports
            .buffer_unordered(CONCURRENCY)
            .try_fold(0, async |sum, count| Ok(sum + count));
        let imported = imported.await?;
        self.metrics.messages_sent.inc_by(imported);
        Ok(Import {
            imported,
            skipped: total - imported,
        })
    }

    async fn import_conversation(&self, messages: Vec<PendingMessage>) -> Result<u64, Error> {
        let mut imported = 0;
        for messages in messages.chunks(STEP) {
            let Some(last) = messages.last() else {
                continue;
            };
            let request = ConversationRequest {
                user: last.from(),
                peer: last.to(),
                charge: None,
            };
            let sent_us = last.sent_at().timestamp_micros().max(1).to_string();
            let mut items = Vec::with_capacity(3 * messages.len());
            for message in messages {
                items.push(message.id().to_string());
                items.push(rfc3339(message.sent_at()));
                items.push(message.json_after_seq()?);
            }
            let args: Vec<_> = [sent_us.as_str()]
                .into_iter()
                .chain(items.iter().map(String::as_str))
                .collect();
            imported += self
                .change::<u64>(&IMPORT_MESSAGES, request, &args)
                .await?
                .value;
        }
        Ok(imported)
    }
}
