//! Tickets: single-use credentials for one live connection.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::UserId;

/// A request for a ticket: the body of `POST /tickets`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketRequest {
    /// The user whose stream the ticket opens. Optional with a user token: the default is the user of
    /// the token.
    #[serde(default)]
    #[schema(nullable = false)]
    pub user: Option<UserId>,
}

/// A single-use credential for one live connection.
#[derive(Serialize, ToSchema)]
pub struct IssuedTicket {
    /// The value of the query parameter `ticket` of `/ws` or `/events/stream`.
    #[schema(example = "6f1ad9c35e8b4f50a2d7c9e31b60f84d2a7c51e09b3d4f68")]
    pub ticket: String,
    /// Seconds until the ticket expires.
    #[schema(example = 30)]
    pub expires_in: u32,
}
