//! What a client asks for on its WebSocket, done as HTTP would do it.

use std::sync::Arc;

use actix_web::web::Data;

use crate::auth::{Authenticator, Caller};
use crate::error::{Code, Error};
use crate::http::middleware::authenticate::Policies;
use crate::model::{Draft, IdempotencyKey, NewMessage, Seq, UserId};
use crate::protocol::Command;
use crate::rate::{Charge, Policy};
use crate::realtime::Done;
use crate::store::{Act, Store};

/// Who asks, and what it takes to do it.
#[derive(Clone)]
pub struct Commands(Arc<Means>);

/// See [`Commands`].
pub struct Means {
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
    pub doors: Data<Doors>,
}

impl From<Means> for Commands {
    fn from(means: Means) -> Self {
        Self(Arc::new(means))
    }
}

/// How the doors are set up.
pub struct Doors {
    /// Origins whose pages may connect, beside the service's own.
    pub origins: Vec<String>,
    /// Whether delivered receipts are given.
    pub delivered: bool,
}

impl Doors {
    /// Up to where a user's devices are said to have received who have received up to `seq`.
    pub fn delivered(&self, seq: Seq) -> Seq {
        if self.delivered { seq } else { Seq::default() }
    }
}

impl Commands {
    /// Does what was asked for.
    pub async fn perform(self, command: Command) -> Result<Done, Error> {
        let Means {
            user,
            store,
            policies,
            doors,
            ..
        } = &*self.0;
        match command {
            Command::Send(message, key) => self.send(message, key).await,
            Command::Read(receipt) => {
                let charge = self.charge(policies.read);
                let act = self.act(&receipt.peer, charge.as_ref())?;
                let state = store.mark_read(act, receipt.seq).await?;
                Ok(Done::Marked(state.value.to_json()))
            }
            Command::Delivered(receipt) => {
                let charge = self.charge(policies.read);
                let act = self.act(&receipt.peer, charge.as_ref())?;
                let state = store
                    .mark_delivered(act, doors.delivered(receipt.seq))
                    .await?;
                Ok(Done::Marked(state.value.to_json()))
            }
            Command::Typing(peer) => {
                let charge = self.charge(policies.read);
                store
                    .announce_typing(self.act(&peer, charge.as_ref())?)
                    .await?;
                Ok(Done::Told)
            }
            Command::Ping => Ok(Done::Told),
            Command::Token(token) => {
                let identity = self.0.authenticator.identify(&token)?;
                identity.caller.act_as(user)?;
                Ok(Done::Until(identity.until))
            }
        }
    }

    async fn send(
        &self,
        mut message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Done, Error> {
        let Means {
            user,
            store,
            policies,
            ..
        } = &*self.0;
        if message.from.take().is_some_and(|from| &from != user) {
            return Err(Code::Forbidden.into());
        }
        let draft = Draft::new(user.clone(), message)?;
        let charge = self.charge(policies.send);
        let act = Act {
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
        Ok(Done::Sent {
            message: sent.value.message.0,
            replayed: sent.value.replayed,
        })
    }

    fn charge(&self, policy: Option<Policy>) -> Option<Charge> {
        self.0.caller.charge(policy)
    }

    fn act<'a>(&'a self, peer: &'a UserId, charge: Option<&'a Charge>) -> Result<Act<'a>, Error> {
        let user = &self.0.user;
        if peer == user {
            let why = "a conversation is with somebody else";
            return Err(Error::field(Code::InvalidRequest, "/peer", why));
        }
        Ok(Act { user, peer, charge })
    }
}
