//! `/tickets`: credentials for clients that cannot set headers.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde_json::json;

use crate::auth::Identity;
use crate::error::Error;
use crate::http::extract::JsonBody;
use crate::http::{json, problem};
use crate::model::{IssuedTicket, TicketRequest};
use crate::operations::Operations;

problem::refusals!(IssueTicketErrors: CALL BODY CHANGE);

/// Issue a ticket
///
/// A ticket opens one connection (`/ws?ticket=...` or `/events/stream?ticket=...`) within 30 seconds, for
/// clients that cannot set headers. If the ticket was issued for a user token, the connection ends when
/// the token expires. Users get tickets for themselves, backends for any user.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    request_body(content = TicketRequest, description = "The user.", example = json!({"user": "alice"})),
    responses(
        (status = 201, description = "The ticket.", body = IssuedTicket),
        IssueTicketErrors,
    )
)]
#[post("/tickets")]
pub async fn issue_ticket(
    identity: Identity,
    ticket: JsonBody<TicketRequest>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let ticket = operations.issue_ticket(&identity, ticket.0.user).await?;
    let json = json!(ticket.value).to_string();
    Ok(json::created(json, ticket.quota, None))
}
