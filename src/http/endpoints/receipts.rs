//! How far a conversation was read and received.

use actix_web::web::Data;
use actix_web::{HttpResponse, post, put};

use super::conversations::{CurrentState, current};
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::JsonBody;
use crate::http::problem;
use crate::model::{Participants, ReadRequest, ReceiptRequest};
use crate::operations::Operations;

problem::refusals!(MarkErrors: CALL BODY CHANGE);

/// Mark as read
///
/// Marks the messages up to and including `seq` as read. Only moves forward: a `seq` that was read
/// before changes nothing, and one past the end marks everything. The peer sees it as
/// `peer_read_seq`, unless `private` is true or the peer has blocked the user. Users mark as
/// themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(Participants),
    request_body(content = ReadRequest, description = "The last message read.", example = json!({"seq": 1})),
    responses(CurrentState, MarkErrors)
)]
#[put("/conversations/{user}/{peer}/read")]
pub async fn mark_read(
    caller: Caller,
    users: Participants,
    receipt: JsonBody<ReadRequest>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .mark_read(&caller, &users, receipt.0.seq, receipt.0.is_private())
        .await
        .map(current)
}

/// Mark as delivered
///
/// Notes that a device of `user` has received the messages up to and including `seq`. Only moves
/// forward. The peer sees it as `peer_delivered_seq`; what was read counts as delivered. Changes
/// nothing where delivered receipts are off (`DUOLOGUE_DELIVERED=false`). Users mark as themselves,
/// backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(Participants),
    request_body(content = ReceiptRequest, description = "The last message received.", example = json!({"seq": 1})),
    responses(CurrentState, MarkErrors)
)]
#[put("/conversations/{user}/{peer}/delivered")]
pub async fn mark_delivered(
    caller: Caller,
    users: Participants,
    receipt: JsonBody<ReceiptRequest>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .mark_delivered(&caller, &users, receipt.0.seq)
        .await
        .map(current)
}

problem::refusals!(MarkUnreadErrors: CALL BODY CHANGE; TooFarBack);

/// Mark as unread
///
/// Marks the messages of the peer from `seq` on as unread, at most 4,000 messages back. The peer's
/// `peer_read_seq` does not move back. Users mark as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(Participants),
    request_body(content = ReceiptRequest, description = "The first unread message.", example = json!({"seq": 1})),
    responses(CurrentState, MarkUnreadErrors)
)]
#[post("/conversations/{user}/{peer}/unread")]
pub async fn mark_unread(
    caller: Caller,
    users: Participants,
    receipt: JsonBody<ReceiptRequest>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .mark_unread(&caller, &users, receipt.0.seq)
        .await
        .map(current)
}
