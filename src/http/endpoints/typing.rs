//! `/conversations/{user}/{peer}/typing`: typing notifications.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};

use super::no_content;
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::NoInput;
use crate::http::problem;
use crate::model::Participants;
use crate::operations::Operations;

problem::refusals!(AnnounceTypingErrors: CALL PEER CHANGE; Blocked);

/// Announce typing
///
/// Notifies the devices of `peer` that `user` is typing, at most once a second. Repeat it every few
/// seconds while the user types. Users announce themselves, backends any user.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    responses((status = 204, description = "Accepted; the peer is notified at most once a second."), AnnounceTypingErrors)
)]
#[post("/conversations/{user}/{peer}/typing")]
pub async fn announce_typing(
    caller: Caller,
    users: Participants,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let told = operations.announce_typing(&caller, &users).await?;
    Ok(no_content(told.quota))
}
