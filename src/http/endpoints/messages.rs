//! `/messages`, and the messages of a conversation.

use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post, put};
use utoipa::IntoResponses;

use super::examples;
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{JsonBody, NoInput, PatchBody, insert_accept_patch};
use crate::http::header::{IdempotencyKeyHeader, IfMatchHeader};
use crate::http::middleware::authenticate;
use crate::http::path::{PathEmoji, PathSeq};
use crate::http::{json, problem};
use crate::model::{Edit, Message, MessageInput, Participants, StoredMessage};
use crate::operations::{Operations, SentMessage};
use crate::rate::RateLimited;

/// Marks the response to a repetition of a request with an `Idempotency-Key`.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

problem::refusals!(SendMessageErrors: CALL BODY PEER CHANGE; Blocked, MessageNotFound, ReplyToNotFound, IdempotencyKeyReused);

/// The responses to a sent message, for openapi.yaml.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the derive reads it")]
enum SendMessageResponses {
    /// The message is stored.
    #[response(
        status = 201,
        headers(
            ("ETag" = String, description = "The version of the message, for `If-Match`."),
            ("Location" = String, description = "The path of the message.")
        ),
        example = json!(examples::message())
    )]
    Stored(Message),
    /// An earlier request with the same `Idempotency-Key` stored the message.
    #[response(
        status = 200,
        headers(
            ("ETag" = String, description = "The version of the message, for `If-Match`."),
            ("Idempotent-Replayed" = String, description = "Always `true`."),
            ("Location" = String, description = "The path of the message.")
        ),
        example = json!(examples::message())
    )]
    Replayed(Message),
}

/// Send a message
///
/// Atomically appends the message to the conversation of `from` and `to` and counts it as unread
/// for `to`. Users send as themselves; backends send as any user. 201 means that the message is
/// stored; `/readyz` reports how durably.
///
/// With an `Idempotency-Key`, or a `client_id` in its place, a request whose outcome is unknown can be
/// repeated for 24 hours. The message is stored once. A repetition gets 200, even if the rate limit is
/// used up, or 404 if the message is no longer kept. Two messages are the same if their members have the
/// same values; the order of the members and the notation of numbers do not matter.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(IdempotencyKeyHeader),
    request_body(
        content = MessageInput,
        description = "The message.",
        examples(
            ("text" = (summary = "Text", value = json!(examples::new_message()))),
            ("attachment" = (summary = "Attachment and metadata", value = json!(examples::new_message_with_attachment())))
        )
    ),
    responses(SendMessageResponses, SendMessageErrors)
)]
#[post("/messages")]
pub async fn send_message(
    caller: Caller,
    key: IdempotencyKeyHeader,
    message: JsonBody<MessageInput>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .send_message(&caller, message.0, key.0.as_ref())
        .await
        .map(sent)
}

/// The response to a sent message.
fn sent(RateLimited { value: sent, quota }: RateLimited<SentMessage>) -> HttpResponse {
    let location = location(&sent);
    let mut response = if sent.replayed {
        let mut replayed = HttpResponse::Ok();
        replayed.insert_header((IDEMPOTENT_REPLAYED, "true"));
        replayed
    } else {
        HttpResponse::Created()
    };
    let mut response = response
        .insert_header((LOCATION, location))
        .insert_header((ETAG, sent.message.etag()))
        .insert_header((CONTENT_TYPE, json::TYPE))
        .body(sent.message.0);
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    response
}

/// The path under which the sender reads the message.
fn location(sent: &SentMessage) -> String {
    let (from, to) = (sent.from.path_segment(), sent.to.path_segment());
    let seq = sent.seq.get().to_string();
    ["/conversations/", &*from, "/", &*to, "/messages/", &seq].concat()
}

/// The current version of a message, for openapi.yaml.
#[derive(IntoResponses)]
#[response(
    status = 200,
    description = "The message.",
    headers(("ETag" = String, description = "The version of the message, for `If-Match`.")),
    example = json!(examples::changed_message())
)]
struct CurrentMessage(#[expect(dead_code, reason = "the derive reads it")] Message);

/// A deleted message, for openapi.yaml.
#[derive(IntoResponses)]
#[response(
    status = 200,
    description = "The tombstone.",
    headers(("ETag" = String, description = "The version of the message, for `If-Match`.")),
    example = json!(examples::tombstone())
)]
struct Tombstone(#[expect(dead_code, reason = "the derive reads it")] Message);

/// A response that contains a message, with its version.
fn current(message: RateLimited<StoredMessage>) -> HttpResponse {
    let etag = HeaderValue::try_from(message.value.etag());
    let mut response = json::answer(message.value.0, message.quota);
    if let Ok(etag) = etag {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

problem::refusals!(ReadMessageErrors: CALL PEER READ; MessageNotFound);

/// Read one message
///
/// Marks nothing as read. `user` is the reader: users read as themselves, backends as any user.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants, PathSeq),
    responses(CurrentMessage, ReadMessageErrors)
)]
#[get("/conversations/{user}/{peer}/messages/{seq}")]
pub async fn read_message(
    caller: Caller,
    users: Participants,
    PathSeq { seq }: PathSeq,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let message = operations.read_message(&caller, &users, seq).await?;
    let mut response = current(message);
    insert_accept_patch(response.headers_mut());
    Ok(response)
}

problem::refusals!(EditMessageErrors: CALL BODY PEER CHANGE; Blocked, MessageNotFound, MessageChanged, MessageDeleted, PreconditionFailed);

/// Edit a message
///
/// Replaces the members of the message that the request contains; `null` removes a member. With
/// `application/merge-patch+json` (JSON Merge Patch, RFC 7396), `metadata` is merged into the existing
/// metadata. A change of the text or the attachments sets `edited_at`. An edit without any change
/// produces no event.
///
/// Only the author may edit, so `user` must be the author: users edit their own messages, backends
/// edit as any user. With `If-Match` the message changes only if its version is among the given ones.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants, PathSeq, IfMatchHeader),
    request_body(content = Edit, description = "The members to replace or remove.", example = json!({"body": "Lunch at two?"})),
    responses(CurrentMessage, EditMessageErrors)
)]
#[patch("/conversations/{user}/{peer}/messages/{seq}")]
pub async fn edit_message(
    caller: Caller,
    users: Participants,
    PathSeq { seq }: PathSeq,
    IfMatchHeader(precondition): IfMatchHeader,
    edit: Result<PatchBody<Edit>, Error>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let edited = match edit {
        Ok(PatchBody(edit)) => {
            operations
                .edit_message(&caller, &users, seq, edit, &precondition)
                .await
        }
        Err(refused) => Err(refused),
    };
    let mut response = edited.map_or_else(HttpResponse::from_error, current);
    insert_accept_patch(response.headers_mut());
    Ok(response)
}

problem::refusals!(AddReactionErrors: CALL PEER CHANGE; Blocked, MessageNotFound, MessageChanged, MessageDeleted, PreconditionFailed, TooManyReactions);
problem::refusals!(ChangeMessageErrors: CALL PEER CHANGE; MessageNotFound, MessageChanged, MessageDeleted, PreconditionFailed, TooManyReactions);

/// Delete a message
///
/// Replaces the message by a tombstone for both users: without content, with `deleted_at`. If it was
/// unread, it no longer counts. Deleting it again changes nothing. Only the author may delete, so `user`
/// must be the author: users delete their own messages, backends delete as any user.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants, PathSeq, IfMatchHeader),
    responses(Tombstone, ChangeMessageErrors)
)]
#[delete("/conversations/{user}/{peer}/messages/{seq}")]
pub async fn delete_message(
    caller: Caller,
    users: Participants,
    PathSeq { seq }: PathSeq,
    IfMatchHeader(precondition): IfMatchHeader,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .delete_message(&caller, &users, seq, &precondition)
        .await
        .map(current)
}

/// React to a message
///
/// Adds a reaction of `user` to a message of either participant. Adding the same reaction again
/// changes nothing. Users react as themselves, backends as any user.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants, PathSeq, PathEmoji, IfMatchHeader),
    responses(CurrentMessage, AddReactionErrors)
)]
#[put("/conversations/{user}/{peer}/messages/{seq}/reactions/{emoji}")]
pub async fn add_reaction(
    caller: Caller,
    users: Participants,
    PathSeq { seq }: PathSeq,
    PathEmoji { emoji }: PathEmoji,
    IfMatchHeader(precondition): IfMatchHeader,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .add_reaction(&caller, &users, seq, &emoji, &precondition)
        .await
        .map(current)
}

/// Remove a reaction
///
/// Removes a reaction of `user`. Removing a reaction that does not exist changes nothing. Users remove
/// their own reactions, backends those of any user.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(Participants, PathSeq, PathEmoji, IfMatchHeader),
    responses(CurrentMessage, ChangeMessageErrors)
)]
#[delete("/conversations/{user}/{peer}/messages/{seq}/reactions/{emoji}")]
pub async fn remove_reaction(
    caller: Caller,
    users: Participants,
    PathSeq { seq }: PathSeq,
    PathEmoji { emoji }: PathEmoji,
    IfMatchHeader(precondition): IfMatchHeader,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations
        .remove_reaction(&caller, &users, seq, &emoji, &precondition)
        .await
        .map(current)
}
