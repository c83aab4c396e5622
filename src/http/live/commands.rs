//! What a client asks for on its WebSocket, done as HTTP would do it.

use std::sync::Arc;

use actix_web::web::Data;

use crate::auth::{Authenticator, Caller};
use crate::error::{Code, Error};
use crate::http::middleware::authenticate::Policies;
use crate::model::{IdempotencyKey, NewMessage, PendingMessage, Seq, UserId};
use crate::protocol::Command;
use crate::rate::{Policy, RateLimitRequest};
use crate::realtime::CommandResult;
use crate::store::{ConversationRequest, Store};

/// Who asks, and what it takes to do it.
#[derive(Clone)]
pub struct Commands(Arc<CommandContext>);

/// See [`Commands`].
pub struct CommandContext {
    /// Who asks.
    pub caller: Caller,
    /// As whom.
    pub user: UserId,
    /// The store.
    pub store: Data<Store>,
    /// What it costs.
    pub policies: Data<Policies>,
    /// Verifies fresh tokens.
    pub authenticator: Data<Authenticator>,
    /// Whether receipts are given.
    pub doors: Data<LiveSettings>,
}

impl From<CommandContext> for Commands {
    fn from(means: CommandContext) -> Self {
        Self(Arc::new(means))
    }
}

/// How the doors are set up.
pub struct LiveSettings {
    /// Origins whose pages may connect, beside the service's own.
    pub origins: Vec<String>,
    /// Whether delivered receipts are given.
    pub delivered: bool,
}

impl LiveSettings {
    /// Up to where a user's devices are said to have received who have received up to `seq`.
    pub fn delivered(&self, seq: Seq) -> Seq {
        if self.delivered { seq } else { Seq::default() }
    }
}

impl Commands {
    /// Does what was asked for.
    pub async fn perform(self, command: Command) -> Result<CommandResult, Error> {
        let CommandContext {
            user,
            store,
            policies,
            doors,
            ..
        } = &*self.0;
        match command {
            Command::Send(message, key) => self.send(message, key).await,
            Command::Read(receipt) => {
                let charge = self.charge(policies.request);
                let act = self.act(&receipt.peer, charge.as_ref())?;
                let state = store.mark_read(act, receipt.seq).await?;
                Ok(CommandResult::Marked(state.value.to_json()))
            }
            Command::Delivered(receipt) => {
                let charge = self.charge(policies.request);
                let act = self.act(&receipt.peer, charge.as_ref())?;
                let state = store
                    .mark_delivered(act, doors.delivered(receipt.seq))
                    .await?;
                Ok(CommandResult::Marked(state.value.to_json()))
            }
            Command::Typing(peer) => {
                let charge = self.charge(policies.request);
                store
                    .announce_typing(self.act(&peer, charge.as_ref())?)
                    .await?;
                Ok(CommandResult::Told)
            }
            Command::Ping => Ok(CommandResult::Told),
            Command::Token(token) => {
                let identity = self.0.authenticator.identify(&token)?;
                identity.caller.authorize(user)?;
                Ok(CommandResult::Until(identity.until))
            }
        }
    }

    async fn send(
        &self,
        mut message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<CommandResult, Error> {
        let CommandContext {
            user,
            store,
            policies,
            ..
        } = &*self.0;
        if message.from.take().is_some_and(|from| &from != user) {
            return Err(Code::Forbidden.into());
        }
        let draft = PendingMessage::new(user.clone(), message)?;
        let charge = self.charge(policies.send);
        let act = ConversationRequest {
            user,
            peer: draft.to(),
            charge: charge.as_ref(),
        };
        let sent = store.send_message(&draft, key.as_ref(), act).await;
        let sent = sent.map_err(|mut error| {
            for field in &mut error.fields {
                // Here the key is no header.
                if field.pointer == "/header/idempotency-key" {
                    "/idempotency_key".clone_into(&mut field.pointer);
                }
            }
            error
        })?;
        Ok(CommandResult::Sent {
            message: sent.value.message.0,
            replayed: sent.value.replayed,
        })
    }

    fn charge(&self, policy: Option<Policy>) -> Option<RateLimitRequest> {
        self.0.caller.charge(policy)
    }

    fn act<'a>(
        &'a self,
        peer: &'a UserId,
        charge: Option<&'a RateLimitRequest>,
    ) -> Result<ConversationRequest<'a>, Error> {
        let user = &self.0.user;
        if peer == user {
            let why = "a conversation is with somebody else";
            return Err(Error::field(Code::InvalidRequest, "/peer", why));
        }
        Ok(ConversationRequest { user, peer, charge })
    }
}
