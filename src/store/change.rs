//! Changes of a conversation. Each is one script, which also updates the inboxes of both users and
//! publishes events.

use redis::FromRedisValue;

use super::script::Script;
use super::{RateLimited, Store};
use crate::error::Error;
use crate::model::{ConversationState, InboxEntry, Pair, UserId};
use crate::rate::RateLimitRequest;

/// The user and the peer of a request, and the rate limit to charge.
#[derive(Clone, Copy)]
pub struct ConversationRequest<'a> {
    /// The acting user.
    pub user: &'a UserId,
    /// The other user of the conversation.
    pub peer: &'a UserId,
    /// The rate limit to charge, if any.
    pub charge: Option<&'a RateLimitRequest>,
}

impl ConversationRequest<'_> {
    pub(super) fn pair(&self) -> Pair {
        Pair::of(self.user, self.peer)
    }
}

impl Store {
    /// Runs a script that changes a conversation. `args` follow the argument `retention`.
    pub(super) async fn change<T: FromRedisValue>(
        &self,
        script: &'static Script,
        request: ConversationRequest<'_>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        self.change_with_keys(script, request, [], args).await
    }

    /// Like [`Store::change`], for a script with additional keys.
    pub(super) async fn change_with_keys<T: FromRedisValue>(
        &self,
        script: &'static Script,
        request: ConversationRequest<'_>,
        more_keys: impl IntoIterator<Item = String>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let mut keys = self.change_keys(&request.pair(), request);
        keys.extend(more_keys);
        let retention = self.retention.script_arg();
        let common = [request.user.as_str(), request.peer.as_str(), &retention];
        let args: Vec<_> = common
            .iter()
            .chain(args)
            .map(|arg| arg.as_bytes())
            .collect();
        self.run_rate_limited(script, script.retry, request.charge, keys, args, None)
            .await
    }

    /// Like [`Store::change`], for a script that returns the state of the conversation.
    pub(super) async fn change_state(
        &self,
        script: &'static Script,
        request: ConversationRequest<'_>,
        args: &[&str],
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.change_state_with_keys(script, request, [], args).await
    }

    /// Like [`Store::change_with_keys`], for a script that returns the state of the conversation.
    pub(super) async fn change_state_with_keys(
        &self,
        script: &'static Script,
        request: ConversationRequest<'_>,
        more_keys: impl IntoIterator<Item = String>,
        args: &[&str],
    ) -> Result<RateLimited<ConversationState>, Error> {
        let state = self
            .change_with_keys::<(String, String, String)>(script, request, more_keys, args)
            .await?;
        let peer = request.peer.clone();
        state.try_map(|(entry, last, metadata)| {
            InboxEntry::parse(&entry)?.into_state(peer, last, &metadata)
        })
    }

    /// The keys of a conversation and of both users, in the order of the scripts that change a
    /// conversation.
    pub(super) fn change_keys(&self, pair: &Pair, request: ConversationRequest<'_>) -> Vec<String> {
        let mut keys = Vec::with_capacity(10);
        keys.extend(self.keys.conversation(pair));
        keys.extend(self.keys.user(request.user.as_str()));
        keys.extend(self.keys.user(request.peer.as_str()));
        keys
    }
}
