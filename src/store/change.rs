//! Changes of a conversation. On one Redis, each is one script, which also updates the inboxes of both users and
//! publishes events. On a cluster, where inboxes are on other nodes, it takes two steps: the script changes the
//! conversation, notes that in the outbox of its partition, and returns the updates of both inboxes, which the
//! store makes next; see `lua/lib/outbox.lua`.

use redis::{FromRedisValue, ParsingError, Value};

use super::script::{RetrySafety, Script};
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

/// Stands in the place of the version if nothing changed, and updates of the inboxes are overdue.
const OVERDUE: &str = "overdue";

/// What a script that changes a conversation replies on a cluster.
pub(super) struct Committed<T> {
    pub reply: T,
    /// The version of the conversation; `None` if no inbox needs an update.
    pub version: Option<String>,
    pub updates: InboxUpdates,
}

/// The arguments of `lua/inbox/update_inbox.lua` for the user and for the peer; `None` if there is no update.
#[derive(Default)]
pub(super) struct InboxUpdates {
    pub user: Option<Vec<Vec<u8>>>,
    pub peer: Option<Vec<Vec<u8>>>,
}

impl<T: FromRedisValue> FromRedisValue for Committed<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        Ok(Self {
            reply: T::from_redis_value(next())?,
            version: Option::from_redis_value(next())?,
            updates: InboxUpdates {
                user: Option::from_redis_value(next())?,
                peer: Option::from_redis_value(next())?,
            },
        })
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
        self.run_change(script, script.retry, request, keys, args, None)
            .await
    }

    /// Runs a script that changes a conversation with all its keys and arguments, except those of the rate limit.
    /// `last` is a key and an argument after them.
    pub(super) async fn run_change<T: FromRedisValue>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        request: ConversationRequest<'_>,
        keys: Vec<String>,
        args: Vec<&[u8]>,
        last: Option<(String, &[u8])>,
    ) -> Result<RateLimited<T>, Error> {
        let charge = request.charge;
        if !self.two_steps {
            return self
                .run_rate_limited(script, retry, charge, keys, args, last)
                .await;
        }
        let first = self.run_rate_limited::<Committed<T>>(script, retry, charge, keys, args, last);
        let RateLimited { value, quota } = Box::pin(first).await?;
        let value = Box::pin(self.complete_change(request, value)).await;
        Ok(RateLimited { value, quota })
    }

    /// Runs the first step of a change that is not charged for. On one Redis it is the only step.
    pub(super) async fn first_step<T: FromRedisValue>(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<Committed<T>, Error> {
        if self.two_steps {
            return self.run(script, keys, args).await;
        }
        Ok(Committed {
            reply: self.run(script, keys, args).await?,
            version: None,
            updates: InboxUpdates::default(),
        })
    }

    /// The second step of a change: updates the inboxes, if they need it. Returns the reply of the first step in any
    /// case; updates that fail are repeated later.
    pub(super) async fn complete_change<T>(
        &self,
        request: ConversationRequest<'_>,
        committed: Committed<T>,
    ) -> T {
        match committed.version {
            None => {}
            Some(version) if version == OVERDUE => {
                // The next search repeats them if this fails.
                let _ = self.repeat_updates(request.user, request.peer).await;
            }
            Some(version) => {
                let updated = self.update_inboxes(request, committed.updates).await;
                if updated {
                    self.outbox.confirm(request.pair().as_str(), version);
                }
            }
        }
        committed.reply
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
        let peer = request.peer.clone().into();
        state.try_map(|(entry, last, metadata)| {
            InboxEntry::parse(&entry)?.into_state(peer, last, &metadata)
        })
    }

    /// The keys of a conversation, of both users and of the feed, in the order of the scripts that change a
    /// conversation. On a cluster, the outbox is in the place of each key of a user.
    pub(super) fn change_keys(&self, pair: &Pair, request: ConversationRequest<'_>) -> Vec<String> {
        let mut keys = Vec::with_capacity(11);
        keys.extend(self.keys.conversation(pair));
        if self.two_steps {
            let outbox = self.keys.outbox(pair.as_str());
            keys.extend(std::iter::repeat_n(outbox, 6));
        } else {
            keys.extend(self.keys.user(request.user.as_str()));
            keys.extend(self.keys.user(request.peer.as_str()));
        }
        keys.push(self.keys.feed(pair.as_str()));
        keys
    }
}
