//! Presence: whether users are online.

use futures_util::future::try_join_all;

use super::Operations;
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{Presence, Presences, UserId};
use crate::rate::RateLimited;

impl Operations {
    /// Returns whether a user is online. Users see themselves and the peers of their conversations
    /// who have not blocked them; everyone else appears offline. Backends see everyone.
    pub async fn read_presence(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<RateLimited<Presence>, Error> {
        let charge = self.charge_request(caller);
        self.store
            .read_presence(user, viewer(caller), charge.as_ref())
            .await
    }

    /// Returns the presence of several users. Charged as one request.
    pub async fn list_presences(
        &self,
        caller: &Caller,
        users: &[UserId],
    ) -> Result<RateLimited<Presences>, Error> {
        let charge = self.charge_request(caller);
        // The read of the first user carries the charge.
        let charges = std::iter::once(charge.as_ref()).chain(std::iter::repeat(None));
        let reads = users.iter().zip(charges);
        let reads =
            reads.map(|(user, charge)| self.store.read_presence(user, viewer(caller), charge));
        let read = try_join_all(reads).await?;
        let quota = read.first().and_then(|first| first.quota);
        let users = read.into_iter().map(|read| read.value).collect();
        Ok(RateLimited {
            value: Presences { users },
            quota,
        })
    }
}

/// The user whose view limits the answer; `None` for backends and anonymous callers, who see everyone.
fn viewer(caller: &Caller) -> Option<&UserId> {
    match caller {
        Caller::User(user) => Some(user),
        Caller::Anonymous | Caller::Backend(_) => None,
    }
}
