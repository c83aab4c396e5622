//! Every operation of the API, each implemented once.
//!
//! An operation authorizes the caller, refuses requests whose fields are valid one by one but not
//! together, and calls the method of the same name of the store, which charges the caller's rate
//! limit and does the work in one round trip. HTTP handlers and WebSocket commands are thin
//! adapters of the same operation.
//!
//! Independent of actix and Redis.

mod conversations;
mod credentials;
mod events;
mod import;
mod messages;
mod presence;
mod probes;
mod receipts;
mod rooms;
mod settings;
mod subscriptions;
mod tickets;
mod users;

use std::sync::Arc;

pub use messages::SentMessage;
pub use users::Export;

pub use crate::store::{Health, MasterHealth};

use crate::auth::Caller;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::{Participants, Peer, UserId, WebhookNetworks};
use crate::rate::{CallerPolicies, Policies, Policy, RateLimitRequest};
use crate::store::{ConversationRequest, RoomRequest, Store};

/// The operations. Each worker thread has its own, with its own connection to the store.
#[derive(Clone)]
pub struct Operations {
    store: Store,
    metrics: Arc<Metrics>,
    settings: Settings,
}

/// The settings that operations depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    pub policies: Policies,
    /// Whether users see what their peers' devices have received.
    pub delivered_receipts: bool,
    /// Whether users may create rooms; backends always may.
    pub users_create_rooms: bool,
    /// Maximum number of members of a room.
    pub room_members: u16,
    /// Where webhooks may be sent.
    pub webhook_networks: WebhookNetworks,
}

impl Operations {
    /// The operations on a store.
    pub fn new(store: Store, metrics: Arc<Metrics>, settings: Settings) -> Self {
        Self {
            store,
            metrics,
            settings,
        }
    }

    /// The same operations with a connection of their own to the store.
    #[must_use]
    pub fn with_own_connection(&self) -> Self {
        Self {
            store: self.store.with_own_connection(),
            metrics: self.metrics.clone(),
            settings: self.settings.clone(),
        }
    }

    /// Refuses a caller who may not act as `user`. Returns the rate limit to charge for a change of a
    /// message.
    fn authorize_send(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<Option<RateLimitRequest>, Error> {
        caller.authorize(user)?;
        Ok(self.charge_send(caller))
    }

    /// The rate limit to charge for a change of a message.
    fn charge_send(&self, caller: &Caller) -> Option<RateLimitRequest> {
        charge(caller, self.policies(caller).send)
    }

    /// The rate limit to charge for any other request.
    fn charge_request(&self, caller: &Caller) -> Option<RateLimitRequest> {
        charge(caller, self.policies(caller).request)
    }

    fn policies(&self, caller: &Caller) -> CallerPolicies {
        match caller {
            Caller::Backend(_) => self.settings.policies.keys,
            Caller::Anonymous | Caller::User(_) => self.settings.policies.users,
        }
    }

    /// Refuses a caller who may not act as `user`. Returns the rate limit to charge for any other
    /// request.
    fn authorize_request(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<Option<RateLimitRequest>, Error> {
        caller.authorize(user)?;
        Ok(self.charge_request(caller))
    }
}

/// The charge for a request of this caller. Anonymous callers of an open service share no identity
/// to charge, so they are not limited.
fn charge(caller: &Caller, policy: Option<Policy>) -> Option<RateLimitRequest> {
    let policy = policy?;
    let caller = match caller {
        Caller::Anonymous => return None,
        Caller::User(user) => format!("user,{user}"),
        Caller::Backend(key) => format!("key,{key}"),
    };
    Some(RateLimitRequest { policy, caller })
}

/// The request of a participant to the store, by what the conversation is with.
enum Target<'a> {
    Pair(ConversationRequest<'a>),
    Room(RoomRequest<'a>),
}

impl<'a> Target<'a> {
    fn of(user: &'a UserId, peer: &'a Peer, charge: Option<&'a RateLimitRequest>) -> Self {
        match peer {
            Peer::User(peer) => Self::Pair(ConversationRequest { user, peer, charge }),
            Peer::Room(room) => Self::Room(RoomRequest { user, room, charge }),
        }
    }
}

fn target<'a>(users: &'a Participants, charge: Option<&'a RateLimitRequest>) -> Target<'a> {
    Target::of(users.user(), users.peer(), charge)
}
