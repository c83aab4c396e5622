//! `/conversations`: inbox, pages of conversations and unread counts.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get};
use serde_json::json;
use utoipa::IntoResponses;

use super::examples;
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{NoInput, QueryParams, insert_accept_patch};
use crate::http::middleware::head::IsHead;
use crate::http::middleware::site::OwnSite;
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::{
    Conversation, ConversationState, Inbox, InboxQuery, PageQuery, Participants, UnreadOfUsers,
    UnreadTotals, UsersQuery,
};
use crate::operations::Operations;
use crate::rate::RateLimited;

problem::refusals!(pub ListConversationsErrors: CALL READ);

/// List conversations
///
/// The inbox of `user`: each conversation with its unread count, receipts and last message, and
/// the unread totals, which always cover all conversations. Pinned conversations come
/// first, then the others, each with the latest message first. Without `archived`, archived
/// conversations are listed too. With `unread_only=true` or `archived` a page can be shorter than `limit`
/// although there is a next one. Users list their own conversations, backends those of any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathUser, InboxQuery),
    responses(
        (status = 200, description = "A page of the inbox.", body = Inbox, example = json!(examples::inbox())),
        ListConversationsErrors,
    )
)]
#[get("/conversations/{user}")]
pub async fn list_conversations(
    caller: Caller,
    PathUser { user }: PathUser,
    query: QueryParams<InboxQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let inbox = operations
        .list_conversations(&caller, &user, &query.0)
        .await?;
    Ok(json::answer(inbox.value.to_json(), inbox.quota))
}

/// Count unread messages
///
/// The totals over all conversations of `user`, except those with blocked peers, for a badge.
/// `total_unread_count` includes `muted_unread_count`. Takes the same time for every size of the inbox.
/// Users count their own messages, backends those of any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathUser),
    responses(
        (status = 200, description = "The totals.", body = UnreadTotals,
            example = json!({"total_unread_count": 3, "unread_conversations": 2, "muted_unread_count": 1})),
        ListConversationsErrors,
    )
)]
#[get("/users/{user}/unread")]
pub async fn count_unread(
    caller: Caller,
    PathUser { user }: PathUser,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let totals = operations.count_unread(&caller, &user).await?;
    Ok(json::answer(totals.value.to_json(), totals.quota))
}

/// Count the unread messages of several users
///
/// For backends, for example before a push notification. Returns for up to 100 users what
/// `GET /users/{user}/unread` returns for one. A user without conversations has nothing unread.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["backend"])),
    params(UsersQuery),
    responses(
        (status = 200, description = "The totals of each user.", body = UnreadOfUsers,
            example = json!({"users": [{"user": "bob", "total_unread_count": 3, "unread_conversations": 2, "muted_unread_count": 1}]})),
        ListConversationsErrors,
    )
)]
#[get("/unread")]
pub async fn list_unread(
    caller: Caller,
    query: QueryParams<UsersQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let users = query.0.users()?;
    let unread = operations.list_unread(&caller, &users).await?;
    Ok(json::answer(json!(unread.value).to_string(), unread.quota))
}

problem::refusals!(ReadConversationErrors: CALL PEER READ; OutcomeUnknown);

/// Read a conversation
///
/// Returns a page of history, the unread count and the unread messages of `user`, and marks the
/// conversation as read, in one atomic step: of several concurrent readers exactly one gets each
/// message as unread. `user` is the reader: users read as themselves, backends as any user.
///
/// Only the newest page marks the conversation as read. A page with `before`, `after`, `around` or
/// `around_time` does so only with `peek=false`, and with `peek=true` no page does.
/// `limit=0&unread_limit=0` returns the state of the conversation without messages and marks nothing.
///
/// `next_before` and `next_after` lead to the pages next to this one, also from a page beyond the
/// oldest or newest message. A conversation without messages is empty, not an error.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants, PageQuery),
    responses(
        (status = 200, description = "The page, with the messages that were unread until now.", body = Conversation,
            example = json!(examples::conversation())),
        ReadConversationErrors,
    )
)]
#[get("/conversations/{user}/{peer}")]
pub async fn read_conversation(
    caller: Caller,
    _: OwnSite,
    users: Participants,
    QueryParams(query): QueryParams<PageQuery>,
    IsHead(is_head): IsHead,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let query = if is_head { query.peeking() } else { query };
    let read = operations
        .read_conversation(&caller, &users, &query)
        .await?;
    let mut response = json::answer(read.value.to_json(), read.quota);
    insert_accept_patch(response.headers_mut());
    Ok(response)
}

problem::refusals!(pub ChangeConversationErrors: CALL PEER CHANGE);

/// The response to a change of a conversation, for openapi.yaml.
#[derive(IntoResponses)]
#[response(
    status = 200,
    description = "The conversation as `user` now sees it.",
    example = json!(examples::conversation_state())
)]
pub struct CurrentState(#[expect(dead_code, reason = "the derive reads it")] ConversationState);

/// The response to a change of a conversation.
#[expect(clippy::needless_pass_by_value, reason = "ends a `map`")]
pub fn current(state: RateLimited<ConversationState>) -> HttpResponse {
    json::answer(state.value.to_json(), state.quota)
}

/// Clear a conversation
///
/// For `user` only: hides the current messages of the conversation, no longer counts them as unread, and
/// removes the conversation from the inbox until the next message. The peer keeps all messages, is not
/// notified, and sees no change of `peer_read_seq`. Users clear their own conversations, backends those of
/// any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    responses(CurrentState, ChangeConversationErrors)
)]
#[delete("/conversations/{user}/{peer}")]
pub async fn clear_conversation(
    caller: Caller,
    users: Participants,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let state = operations.clear_conversation(&caller, &users).await?;
    Ok(current(state))
}
