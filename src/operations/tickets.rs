//! Tickets: single-use credentials for one live connection. A page cannot set headers on a
//! WebSocket or an event stream, and a token in a URL ends up in logs.

use super::Operations;
use crate::auth::{Caller, Identity, generate_key};
use crate::error::{Code, Error};
use crate::model::{IssuedTicket, UserId, digest};
use crate::rate::RateLimited;

/// Seconds until a ticket expires.
const TTL_S: u32 = 30;

impl Operations {
    /// Issues a ticket to connect as `user`: by default the user of the token. Backends must name
    /// one. The connection ends with the token that the ticket was issued for.
    pub async fn issue_ticket(
        &self,
        identity: &Identity,
        user: Option<UserId>,
    ) -> Result<RateLimited<IssuedTicket>, Error> {
        let user = identity.caller.acting_as(user, "/user")?;
        let charge = self.charge_request(&identity.caller);
        let ticket = generate_key().map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        let until = identity.until.map(|end| end.to_string());
        let bearer = format!("{},{user}", until.unwrap_or_default());
        // Only the digest is stored, so read access to the store reveals no ticket.
        let digest = digest(ticket.as_bytes());
        let issued = self
            .store
            .issue_ticket(&digest, &bearer, TTL_S, charge.as_ref())
            .await?;
        Ok(issued.map(|_| IssuedTicket {
            ticket,
            expires_in: TTL_S,
        }))
    }

    /// Returns the user that a ticket was issued for, and when the identity expires. Does not use up the ticket.
    pub async fn find_ticket(&self, ticket: &str) -> Result<Identity, Error> {
        let bearer = self.store.find_ticket(&digest(ticket.as_bytes())).await?;
        let bearer = bearer.ok_or_else(rejected)?;
        let (until, user) = bearer.split_once(',').ok_or_else(rejected)?;
        let user = UserId::try_from(user.to_owned()).map_err(|_| rejected())?;
        Ok(Identity {
            caller: Caller::User(user),
            until: until.parse().ok(),
        })
    }

    /// Uses up a ticket. Of several connections with the same ticket, one succeeds.
    pub async fn redeem_ticket(&self, ticket: &str) -> Result<(), Error> {
        let bearer = self.store.redeem_ticket(&digest(ticket.as_bytes())).await?;
        bearer.map(|_| ()).ok_or_else(rejected)
    }
}

fn rejected() -> Error {
    let why = "The ticket is unknown, expired or already used.";
    Error::new(Code::Unauthenticated, why)
}
