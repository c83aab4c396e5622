//! Receipts: how far a conversation was read and received.

use actix_web::web::Data;
use actix_web::{HttpResponse, post, put};
use serde_json::json;

use super::conversations::{CurrentState, current};
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{JsonBody, NoInput};
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::{MarkedRead, Participants, ReadRequest, ReceiptRequest};
use crate::operations::Operations;

problem::refusals!(MarkErrors: CALL BODY PEER CHANGE);

/// Mark as read
///
/// Marks the messages up to and including `seq` as read. Only moves forward: a `seq` that is already
/// read changes nothing, and one past the end marks everything. If that means counting more than 3,000
/// messages (1.1 MiB), only a part is marked, up to the `read_seq` in the response, and another request
/// continues. The peer sees the receipt as `peer_read_seq`, unless `private` is true or the peer has
/// blocked the user. Users mark as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
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
/// Records that a device of `user` has received the messages up to and including `seq`. Only moves
/// forward. The peer sees the receipt as `peer_delivered_seq`; messages that were read count as
/// delivered. Has no effect if delivered receipts are disabled (`DUOLOGUE_DELIVERED=false`). Users mark
/// as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
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

problem::refusals!(MarkUnreadErrors: CALL BODY PEER CHANGE; TooFarBack);

/// Mark as unread
///
/// Marks the messages of the peer from `seq` on as unread, at most 4,000 messages (1.5 MiB) back. The
/// `peer_read_seq` that the peer sees does not move back. Users mark as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
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

problem::refusals!(MarkAllReadErrors: CALL CHANGE);

/// Mark all conversations as read
///
/// Marks the messages that `user` has received so far as read, in every conversation. The user's
/// devices and the peers get the same events as when each conversation is read. A request works for up
/// to 2 seconds; `done: false` means that there is more, and repeating the request continues. Users mark
/// as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathUser),
    responses(
        (status = 200, description = "The progress.", body = MarkedRead,
            example = json!({"conversations": 12, "done": true})),
        MarkAllReadErrors,
    )
)]
#[post("/users/{user}/read")]
pub async fn mark_all_read(
    caller: Caller,
    PathUser { user }: PathUser,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let marked = operations.mark_all_read(&caller, &user).await?;
    Ok(json::answer(json!(marked.value).to_string(), marked.quota))
}
