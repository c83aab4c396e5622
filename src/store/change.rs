//! Changes of a conversation, each one script: the work, its version, and its filing with both
//! users.

use redis::FromRedisValue;

use super::script::RetrySafety;
use super::script::Script;
use super::{RateLimited, Store};
use crate::error::Error;
use crate::model::{ConversationState, IdempotencyKey, InboxEntry, Pair, UserId};
use crate::rate::RateLimitRequest;

/// Events that a user's journal keeps at least: what a device that was away briefly resumes from.
const JOURNAL_LIMIT: &str = "512";

/// Who changes which conversation, at whose cost.
#[derive(Clone, Copy)]
pub struct ConversationRequest<'a> {
    /// The user who acts.
    pub user: &'a UserId,
    /// The other one.
    pub peer: &'a UserId,
    /// Whom to charge, if anybody.
    pub charge: Option<&'a RateLimitRequest>,
}

impl ConversationRequest<'_> {
    /// The conversation.
    pub(super) fn pair(&self) -> Pair {
        Pair::of(self.user, self.peer)
    }
}

impl Store {
    /// Runs a script that changes a conversation. `args` are those of its file, from the first
    /// one on, which is always the user who acts.
    pub(super) async fn change<T: FromRedisValue>(
        &self,
        script: &'static Script,
        act: ConversationRequest<'_>,
        retry: Option<&IdempotencyKey>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let pair = act.pair();
        let (first, second) = pair.users();
        let keys = self.keys_of_change(&pair, retry.map(|key| (act.user, key)));
        let keep = self.retention.messages.to_string();
        let since = self.retention.since();
        let common = [pair.as_str(), first, second, JOURNAL_LIMIT, &keep, &since];
        let args: Vec<_> = common
            .iter()
            .chain(args)
            .map(|arg| arg.as_bytes())
            .collect();
        let repeat = if retry.is_some() {
            RetrySafety::Harmless
        } else {
            RetrySafety::Never
        };
        self.run_repeatable(script, repeat, act.charge, &keys, &args)
            .await
    }

    /// The same, for a script that is answered with the state of the conversation.
    pub(super) async fn change_state(
        &self,
        script: &'static Script,
        act: ConversationRequest<'_>,
        args: &[&str],
    ) -> Result<RateLimited<ConversationState>, Error> {
        let state = self
            .change::<(Vec<String>, String)>(script, act, None, args)
            .await?;
        let peer = act.peer.clone();
        state.try_map(|(filing, last)| {
            InboxEntry::of_filing(&filing).map(|row| row.into_state(peer, last))
        })
    }

    /// The keys of a conversation and of both its users, in the order of `store::compose::shape`.
    fn keys_of_change(
        &self,
        pair: &Pair,
        retry: Option<(&UserId, &IdempotencyKey)>,
    ) -> Vec<String> {
        let keys = &self.keys;
        let (first, second) = pair.users();
        let mut all = keys.conversation(pair).to_vec();
        // Without a key the name is not used, but keeps its place.
        all.push(keys.retry(pair, retry));
        for user in [first, second] {
            all.extend([
                keys.inbox(user),
                keys.conversations(user),
                keys.journal(user),
                keys.live(user),
            ]);
        }
        all
    }
}
