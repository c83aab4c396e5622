//! How far a conversation was read and received.

use actix_web::web::Data;
use actix_web::{HttpResponse, post, put};

use super::conversations::{Changed, changed};
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::JsonBody;
use crate::http::live::commands::LiveSettings;
use crate::http::middleware::authenticate::Policies;
use crate::http::path::PathUsers;
use crate::http::problem;
use crate::model::ReceiptRequest;
use crate::store::Store;

problem::refusals!(MarkErrors: CALL BODY CHANGE);

/// Mark as read
///
/// Up to and with a message. Only moves forward, and never past the end: what is older than what
/// was read already changes nothing. The peer sees it as `peer_read_seq`.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    request_body(content = ReceiptRequest, description = "The last message read.", example = json!({"seq": 1})),
    responses(Changed, MarkErrors)
)]
#[put("/conversations/{user}/{peer}/read")]
pub async fn mark_read(
    caller: Caller,
    path: PathUsers,
    upto: JsonBody<ReceiptRequest>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store.mark_read(act, upto.0.seq).await.map(changed)
}

/// Mark as delivered
///
/// A device of `user` has received everything up to and with a message. Only moves forward, and
/// never past the end. The peer sees it as `peer_delivered_seq`; what was read was delivered.
/// Where the service was told to keep it to itself (`DUOLOGUE_DELIVERED=false`) nothing changes.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    request_body(content = ReceiptRequest, description = "The last message received.", example = json!({"seq": 1})),
    responses(Changed, MarkErrors)
)]
#[put("/conversations/{user}/{peer}/delivered")]
pub async fn mark_delivered(
    caller: Caller,
    path: PathUsers,
    upto: JsonBody<ReceiptRequest>,
    policies: Data<Policies>,
    doors: Data<LiveSettings>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    let seq = doors.delivered(upto.0.seq);
    store.mark_delivered(act, seq).await.map(changed)
}

problem::refusals!(MarkUnreadErrors: CALL BODY CHANGE; TooFarBack);

/// Mark as unread
///
/// From a message on, which counts too, at most 10,000 messages back. What the peer was told of
/// reading stays told.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    request_body(content = ReceiptRequest, description = "The first message to be unread.", example = json!({"seq": 1})),
    responses(Changed, MarkUnreadErrors)
)]
#[post("/conversations/{user}/{peer}/unread")]
pub async fn mark_unread(
    caller: Caller,
    path: PathUsers,
    from: JsonBody<ReceiptRequest>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store.mark_unread(act, from.0.seq).await.map(changed)
}
