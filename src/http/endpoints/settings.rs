//! The settings of a user in a conversation: archived, pinned, metadata, blocked and muted.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, put};

use super::conversations::{
    ChangeConversationErrors, CurrentState, ListConversationsErrors, current,
};
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{NoInput, OptionalBody, PatchBody, QueryParams, insert_accept_patch};
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::{BlockPage, BlocksQuery, ConversationPatch, Mute, Participants};
use crate::operations::Operations;

problem::refusals!(UpdateConversationErrors: CALL BODY PEER CHANGE; ConversationChanged, TooManyPinned);

/// Archive, pin or annotate a conversation
///
/// Changes the settings that the request contains, for `user` only; `null` resets a setting. The peer is
/// not notified; the other devices of `user` receive `conversation.changed`. Reading, marking and
/// clearing a conversation do not change its settings.
///
/// The next message of either user sets `archived` to false, also in a muted conversation. The unread
/// totals count archived conversations like the others. A user has at most 100 `pinned` conversations;
/// the inbox lists them before the others. `metadata` replaces the existing metadata; with
/// `application/merge-patch+json` (JSON Merge Patch, RFC 7396) it is merged into it.
///
/// Users change their own settings, backends those of any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    request_body(content = ConversationPatch, description = "The settings to change.", example = json!({"archived": true})),
    responses(CurrentState, UpdateConversationErrors)
)]
#[patch("/conversations/{user}/{peer}")]
pub async fn update_conversation(
    caller: Caller,
    users: Participants,
    patch: Result<PatchBody<ConversationPatch>, Error>,
    operations: Data<Operations>,
) -> HttpResponse {
    let updated = match patch {
        Ok(PatchBody(patch)) => {
            operations
                .update_conversation(&caller, &users, &patch)
                .await
        }
        Err(refused) => Err(refused),
    };
    let mut response = updated.map_or_else(HttpResponse::from_error, current);
    insert_accept_patch(response.headers_mut());
    response
}

/// Block the peer
///
/// From now on messages, edits and reactions of `peer` are refused with `BLOCKED`, and the unread totals
/// of `user` do not count the conversation. `peer` can still read the conversation and delete its own
/// messages. Users block as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    responses(CurrentState, ChangeConversationErrors)
)]
#[put("/conversations/{user}/{peer}/block")]
pub async fn block_peer(
    caller: Caller,
    users: Participants,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations.block_peer(&caller, &users).await.map(current)
}

/// Unblock the peer
///
/// Messages from `peer` to `user` are accepted again. Messages refused in between are not delivered
/// later. Users unblock as themselves, backends as any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    responses(CurrentState, ChangeConversationErrors)
)]
#[delete("/conversations/{user}/{peer}/block")]
pub async fn unblock_peer(
    caller: Caller,
    users: Participants,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations.unblock_peer(&caller, &users).await.map(current)
}

/// List blocked peers
///
/// The peers that `user` has blocked, with or without a conversation, in no particular order. A page covers
/// about 1,000 conversations of `user`, so it can be empty although there is a next one; a peer can
/// appear on two pages. Users list their own blocks, backends those of any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathUser, BlocksQuery),
    responses(
        (status = 200, description = "A page of the blocks.", body = BlockPage,
            example = json!({"blocks": [{"peer": "mallory"}], "next_cursor": null})),
        ListConversationsErrors,
    )
)]
#[get("/users/{user}/blocks")]
pub async fn list_blocks(
    caller: Caller,
    PathUser { user }: PathUser,
    query: QueryParams<BlocksQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let blocks = operations.list_blocks(&caller, &user, &query.0).await?;
    Ok(json::answer(
        serde_json::json!(blocks.value).to_string(),
        blocks.quota,
    ))
}

problem::refusals!(MuteConversationErrors: CALL BODY PEER CHANGE);

/// Mute a conversation
///
/// Sets `muted` for `user`, which tells the application not to alert them. Messages are stored and counted
/// as before, and `muted_unread_count` counts them separately. With `until` the mute ends at that time: within
/// 2 seconds the totals follow and the devices of `user` receive `conversation.changed`. Muting again replaces
/// the time. Users mute their own conversations, backends those of any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    // A reference, because utoipa declares an optional type as nullable.
    request_body(content = ref("#/components/schemas/Mute"), content_type = "application/json",
        description = "When the mute ends. Without a body it does not end.",
        example = json!({"until": "2030-01-31T12:00:00.000Z"})),
    responses(CurrentState, MuteConversationErrors)
)]
#[put("/conversations/{user}/{peer}/mute")]
pub async fn mute_conversation(
    caller: Caller,
    users: Participants,
    OptionalBody(mute): OptionalBody<Mute>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let mute = mute.unwrap_or_default();
    let state = operations.mute_conversation(&caller, &users, &mute).await?;
    Ok(current(state))
}

/// Unmute a conversation
///
/// Clears `muted` for `user`. Users unmute their own conversations, backends those of any user.
#[utoipa::path(
    tag = "conversations",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants),
    responses(CurrentState, ChangeConversationErrors)
)]
#[delete("/conversations/{user}/{peer}/mute")]
pub async fn unmute_conversation(
    caller: Caller,
    users: Participants,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let state = operations.unmute_conversation(&caller, &users).await?;
    Ok(current(state))
}
