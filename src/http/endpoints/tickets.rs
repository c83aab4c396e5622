//! `/tickets`: what a page shows once in place of a credential, since it cannot set headers on a
//! WebSocket or an event stream, and a token has no place in a URL, which ends up in logs.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::auth::{Caller, Identity, generate_key};
use crate::error::{Code, Error};
use crate::http::extract::JsonBody;
use crate::http::middleware::authenticate::Policies;
use crate::http::{json, problem};
use crate::model::{UserId, digest};
use crate::store::Store;

/// Seconds for which a ticket is good.
const GOOD_S: u32 = 30;

/// For whom a ticket is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// The user. May be left out by a user, who gets one for itself.
    #[schema(nullable = false)]
    user: Option<UserId>,
}

/// What opens one connection.
#[derive(Serialize, ToSchema)]
pub struct Ticket {
    /// To be shown as `ticket` in the query of `/ws` or `/events`.
    #[schema(example = "6f1ad9c35e8b4f50a2d7c9e31b60f84d2a7c51e09b3d4f68")]
    ticket: String,
    /// Seconds for which it is good.
    #[schema(example = 30)]
    expires_in: u32,
}

problem::refusals!(IssueTicketErrors: CALL BODY CHANGE);

/// Issue a ticket
///
/// Good for one connection (`/ws?ticket=...` or `/events?ticket=...`) within 30 seconds, as the
/// user it is for; the connection lasts no longer than the token that it was issued for. A user
/// gets one for itself, a backend for anybody.
#[utoipa::path(
    tag = "live",
    security(("user_token" = []), ("service_key" = [])),
    request_body(content = NewTicket, description = "For whom.", example = json!({"user": "alice"})),
    responses(
        (status = 201, description = "The ticket.", body = Ticket),
        IssueTicketErrors,
    )
)]
#[post("/tickets")]
pub async fn issue_ticket(
    identity: Identity,
    wanted: JsonBody<NewTicket>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let user = identity.caller.acting_as(wanted.0.user, "/user")?;
    let charge = identity.caller.charge(policies.request);
    let random = generate_key().map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    let until = identity
        .until
        .map(|end| end.to_string())
        .unwrap_or_default();
    let bearer = format!("{user}|{until}");
    // Whoever reads the store finds nothing to connect with.
    let kept_by = digest(random.as_bytes());
    let issued = store.issue_ticket(&kept_by, &bearer, GOOD_S, charge.as_ref());
    let quota = issued.await?.quota;
    let ticket = Ticket {
        ticket: random,
        expires_in: GOOD_S,
    };
    let mut response = json::answer(json!(ticket).to_string(), quota);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Who may connect with a ticket, which is used up by this.
pub async fn redeem(store: &Store, ticket: &str) -> Result<Identity, Error> {
    let refused = || {
        Error::new(
            Code::Unauthenticated,
            "the ticket was used, is too old, or never was one",
        )
    };
    let bearer = store.redeem_ticket(&digest(ticket.as_bytes())).await?;
    let bearer = bearer.ok_or_else(refused)?;
    let (user, until) = bearer.split_once('|').ok_or_else(refused)?;
    let user = UserId::try_from(user.to_owned()).map_err(|_| refused())?;
    Ok(Identity {
        caller: Caller::User(user),
        until: until.parse().ok(),
    })
}
