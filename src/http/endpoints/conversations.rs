//! `/conversations`.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, put};
use utoipa::IntoResponses;

use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::QueryParams;
use crate::http::middleware::authenticate::Policies;
use crate::http::path::{PathUser, PathUsers};
use crate::http::{json, problem};
use crate::model::{
    Conversation, ConversationState, Flag, Inbox, InboxQuery, PageQuery, UnreadTotals,
};
use crate::store::{RateLimited, Store};

problem::refusals!(ListConversationsErrors: CALL READ);

/// List conversations
///
/// The inbox of `user`: conversations with unread counts, receipts and the last message, the
/// latest message first, and how much is unread in all of them. A user lists its own, a backend
/// anybody's. With `unread_only=true` a page may be shorter than `limit` and yet have a next one.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUser, InboxQuery),
    responses(
        (status = 200, description = "A page of the inbox.", body = Inbox,
            example = json!({"conversations": [{"peer": "alice",
                "last_message": {"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                    "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"},
                "unread_count": 1, "last_seq": 1, "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0,
                "muted": false, "blocked": false, "updated_at": "2026-01-31T12:00:00.000Z"}],
                "total_unread_count": 1, "unread_conversations": 1, "next_cursor": null})),
        ListConversationsErrors,
    )
)]
#[get("/conversations/{user}")]
pub async fn list_conversations(
    caller: Caller,
    path: PathUser,
    query: QueryParams<InboxQuery>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    caller.authorize(&path.user)?;
    let charge = caller.charge(policies.request);
    let inbox = store
        .list_conversations(&path.user, &query.0, charge.as_ref())
        .await?;
    Ok(json::answer(inbox.value.to_json(), inbox.quota))
}

/// Count unread messages
///
/// What a badge shows: how much `user` has not read, in all conversations. One lookup, whatever
/// the size of the inbox. A user counts its own, a backend anybody's.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUser),
    responses(
        (status = 200, description = "The totals.", body = UnreadTotals,
            example = json!({"total_unread_count": 3, "unread_conversations": 2})),
        ListConversationsErrors,
    )
)]
#[get("/users/{user}/unread")]
pub async fn count_unread(
    caller: Caller,
    path: PathUser,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    caller.authorize(&path.user)?;
    let charge = caller.charge(policies.request);
    let totals = store.count_unread(&path.user, charge.as_ref()).await?;
    Ok(json::answer(totals.value.to_json(), totals.quota))
}

problem::refusals!(ReadConversationErrors: CALL READ; OutcomeUnknown);

/// Read a conversation
///
/// Answers a page of history, the unread count and the unread messages of `user`, and marks
/// everything as read, in one atomic step: of several readers at once exactly one is told of each
/// message as unread. The first path segment is the reader: a user reads as itself, a backend as
/// anybody. With `peek=true` nothing is marked. A conversation without messages is an empty one,
/// not an error.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers, PageQuery),
    responses(
        (status = 200, description = "The page, and what was unread until now.", body = Conversation,
            example = json!({"user": "bob", "peer": "alice",
                "history": [{"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                    "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"}],
                "unread_count": 1,
                "unread": [{"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                    "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"}],
                "last_seq": 1, "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0,
                "muted": false, "blocked": false, "next_before": null, "next_after": null})),
        ReadConversationErrors,
    )
)]
#[get("/conversations/{user}/{peer}")]
pub async fn read_conversation(
    caller: Caller,
    path: PathUsers,
    query: QueryParams<PageQuery>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    let read = store.read_conversation(act, &query.0).await?;
    Ok(json::answer(read.value.to_json(), read.quota))
}

problem::refusals!(ChangeConversationErrors: CALL CHANGE);

/// How the contract describes the answer to a change of a conversation.
#[derive(IntoResponses)]
#[response(status = 200, description = "The conversation as the user now sees it.", example = json!({
    "peer": "alice",
    "last_message": {"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
        "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"},
    "unread_count": 0, "last_seq": 1, "read_seq": 1, "peer_read_seq": 0, "peer_delivered_seq": 0,
    "muted": false, "blocked": false, "updated_at": "2026-01-31T12:00:00.000Z"
}))]
pub struct Changed(#[allow(dead_code)] ConversationState);

/// The answer to a change of a conversation. Takes it whole, as what a `map` ends in.
#[allow(clippy::needless_pass_by_value)]
pub fn changed(state: RateLimited<ConversationState>) -> HttpResponse {
    let RateLimited { value, quota } = state;
    json::answer(value.to_json(), quota)
}

/// Clear a conversation
///
/// For `user` alone: what stands in it now is neither shown nor counted to them again, and the
/// conversation leaves their inbox until the next message. The peer keeps everything.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    responses(Changed, ChangeConversationErrors)
)]
#[delete("/conversations/{user}/{peer}")]
pub async fn clear_conversation(
    caller: Caller,
    path: PathUsers,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store.clear_conversation(act).await.map(changed)
}

/// Block the peer
///
/// From now on `user` takes no messages of `peer`, who is told `BLOCKED` when sending.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    responses(Changed, ChangeConversationErrors)
)]
#[put("/conversations/{user}/{peer}/block")]
pub async fn block_peer(
    caller: Caller,
    path: PathUsers,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store
        .flag_conversation(act, Flag::Blocked, true)
        .await
        .map(changed)
}

/// Unblock the peer
///
/// `user` takes messages of `peer` again. What was refused meanwhile stays unsent.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    responses(Changed, ChangeConversationErrors)
)]
#[delete("/conversations/{user}/{peer}/block")]
pub async fn unblock_peer(
    caller: Caller,
    path: PathUsers,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store
        .flag_conversation(act, Flag::Blocked, false)
        .await
        .map(changed)
}

/// Mute a conversation
///
/// Notes that `user` does not want to be alerted, for the application to heed. Messages are stored
/// and counted as before.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    responses(Changed, ChangeConversationErrors)
)]
#[put("/conversations/{user}/{peer}/mute")]
pub async fn mute_conversation(
    caller: Caller,
    path: PathUsers,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store
        .flag_conversation(act, Flag::Muted, true)
        .await
        .map(changed)
}

/// Unmute a conversation
///
/// `user` wants to be alerted again.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers),
    responses(Changed, ChangeConversationErrors)
)]
#[delete("/conversations/{user}/{peer}/mute")]
pub async fn unmute_conversation(
    caller: Caller,
    path: PathUsers,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store
        .flag_conversation(act, Flag::Muted, false)
        .await
        .map(changed)
}
