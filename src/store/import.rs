//! Messages from elsewhere, into Redis.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::change::ConversationRequest;
use super::script::IMPORT_MESSAGES;
use crate::error::Error;
use crate::model::{Import, PendingMessage, rfc3339};

/// Messages that one script appends, at most: what keeps Redis from others for a millisecond or
/// two. Lua takes some thousands of values at once, not more.
const STEP: usize = 500;
/// Conversations that are imported into at once.
const CONCURRENCY: usize = 32;

impl Store {
    /// Appends messages to their conversations, in the order of their times, as read by both. Those that an earlier attempt appended are left out.
    pub async fn import_messages(&self, drafts: Vec<PendingMessage>) -> Result<Import, Error> {
        let total = drafts.len() as u64;
        let mut conversations: HashMap<String, Vec<PendingMessage>> = HashMap::new();
        for draft in drafts {
            conversations
                .entry(draft.pair().as_str().to_owned())
                .or_default()
                .push(draft);
        }
        for drafts in conversations.values_mut() {
            // Places rise with times, which is also how a repeated import is found.
            drafts.sort_by_key(PendingMessage::sent_at);
        }
        let imports = stream::iter(
            conversations
                .into_values()
                .map(|drafts| self.import_conversation(drafts)),
        );
        let imported = imports
            .buffer_unordered(CONCURRENCY)
            .try_fold(0, async |sum, some| Ok(sum + some));
        let imported = imported.await?;
        self.metrics.messages_sent.inc_by(imported);
        Ok(Import {
            imported,
            skipped: total - imported,
        })
    }

    async fn import_conversation(&self, drafts: Vec<PendingMessage>) -> Result<u64, Error> {
        let mut imported = 0;
        for drafts in drafts.chunks(STEP) {
            let Some(last) = drafts.last() else { continue };
            let act = ConversationRequest {
                user: last.from(),
                peer: last.to(),
                charge: None,
            };
            let sent_us = last.sent_at().timestamp_micros().max(1).to_string();
            let mut items = Vec::with_capacity(3 * drafts.len());
            for draft in drafts {
                items.push(draft.id().to_string());
                items.push(rfc3339(draft.sent_at()));
                items.push(draft.json_after_seq()?);
            }
            let args: Vec<_> = [sent_us.as_str()]
                .into_iter()
                .chain(items.iter().map(String::as_str))
                .collect();
            imported += self
                .change::<u64>(&IMPORT_MESSAGES, act, &args)
                .await?
                .value;
        }
        Ok(imported)
    }
}
