//! `/messages`, and the messages of a conversation.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, LOCATION};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, put};

use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{JsonBody, Retry};
use crate::http::middleware::authenticate;
use crate::http::middleware::authenticate::Policies;
use crate::http::path::{PathMessage, PathReaction};
use crate::http::{json, problem};
use crate::model::{Edit, Message, NewMessage, PendingMessage, Seq, StoredMessage};
use crate::store::{ConversationRequest, RateLimited, Store};

/// Says that a message was sent before with the same `Idempotency-Key`.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

problem::refusals!(SendMessageErrors: CALL BODY CHANGE; Blocked, MessageNotFound, ReplyToNotFound, IdempotencyKeyReused);

/// Send a message
///
/// Appends the message to the conversation of `from` and `to` and counts it as unread for `to`,
/// atomically. A user sends as itself, a backend as anybody. A 201 means that it is stored; how
/// safely, `/readyz` tells. With an `Idempotency-Key` the same message may be sent again for 24
/// hours, by whoever does not know the outcome: it is stored once, and answered with 200; or with
/// 404, if it was sent and is too old to be kept.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    params(Retry),
    request_body(
        content = NewMessage,
        description = "The message.",
        examples(
            ("text" = (summary = "A text", value = json!({"from": "alice", "to": "bob", "body": "Lunch at one?"}))),
            ("everything" = (summary = "Everything", value = json!({
                "from": "alice", "to": "bob", "body": "The menu",
                "attachments": [{"url": "https://files.example.com/menu.jpg", "mime_type": "image/jpeg",
                    "name": "menu.jpg", "size": 48213, "width": 1024, "height": 768}],
                "metadata": {"mood": "hungry"}
            })))
        )
    ),
    responses(
        (status = 201, description = "It is stored.", body = Message,
            headers(("Location" = String, description = "Where it can be read.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"})),
        (status = 200, description = "It was stored before, with the same `Idempotency-Key`.", body = Message,
            headers(("Idempotent-Replayed" = String, description = "Always `true`."),
                ("Location" = String, description = "Where it can be read.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"})),
        SendMessageErrors,
    )
)]
#[post("/messages")]
pub async fn send_message(
    caller: Caller,
    retry: Retry,
    message: JsonBody<NewMessage>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let JsonBody(mut message) = message;
    let from = caller.acting_as(message.from.take(), "/from")?;
    let draft = PendingMessage::new(from, message)?;
    let charge = caller.charge(policies.send);
    let act = ConversationRequest {
        user: draft.from(),
        peer: draft.to(),
        charge: charge.as_ref(),
    };
    let sent = store.send_message(&draft, retry.key.as_ref(), act).await?;
    let mut response = HttpResponse::Created();
    if sent.value.replayed {
        response
            .status(StatusCode::OK)
            .insert_header((IDEMPOTENT_REPLAYED, "true"));
    }
    let mut response = response
        .insert_header((LOCATION, location(&draft, sent.value.seq)))
        .insert_header((CONTENT_TYPE, json::TYPE))
        .body(sent.value.message.0);
    authenticate::insert_rate_limit_headers(response.headers_mut(), sent.quota);
    Ok(response)
}

/// Where a message that was sent can be read.
fn location(draft: &PendingMessage, seq: Seq) -> String {
    let (from, to) = (draft.from().as_str(), draft.to().as_str());
    let seq = seq.get().to_string();
    ["/conversations/", from, "/", to, "/messages/", &seq].concat()
}

problem::refusals!(ReadMessageErrors: CALL READ; MessageNotFound);

/// Read one message
///
/// A user reads as itself, a backend as anybody; the first path segment is the reader. Marks
/// nothing as read. `ETag` is the version to name in `If-Match` when it is edited.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    params(PathMessage),
    responses(
        (status = 200, description = "The message.", body = Message,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"})),
        ReadMessageErrors,
    )
)]
#[get("/conversations/{user}/{peer}/messages/{seq}")]
pub async fn read_message(
    caller: Caller,
    path: PathMessage,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.request);
    let act = path.act(&caller, charge.as_ref())?;
    store.read_message(act, path.seq).await.map(answer)
}

problem::refusals!(EditMessageErrors: CALL BODY CHANGE; MessageNotFound, MessageChanged, MessageDeleted, PreconditionFailed);

/// Edit a message
///
/// Changes what is given and leaves the rest; sets `edited_at`. Only the author may, so `user` is
/// the author: itself, or spoken for by a backend. With `If-Match` only if the message still is
/// the version that the editor saw.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    params(PathMessage, ("If-Match" = Option<String>, Header, description = "The `ETag` the message must have.")),
    request_body(content = Edit, description = "What changes.", example = json!({"body": "Lunch at two?"})),
    responses(
        (status = 200, description = "The message as it now is.", body = Message,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at two?", "edited_at": "2026-01-31T12:01:00.000Z"})),
        EditMessageErrors,
    )
)]
#[patch("/conversations/{user}/{peer}/messages/{seq}")]
pub async fn edit_message(
    caller: Caller,
    path: PathMessage,
    req: HttpRequest,
    edit: JsonBody<Edit>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.send);
    let act = path.act(&caller, charge.as_ref())?;
    let edit = edit.0.checked()?;
    // A version that is none is not that of any message.
    let if_match = req
        .headers()
        .get(IF_MATCH)
        .map(|tag| tag.to_str().unwrap_or_default());
    store
        .edit_message(act, path.seq, &edit, if_match)
        .await
        .map(answer)
}

problem::refusals!(ChangeMessageErrors: CALL CHANGE; MessageNotFound, MessageChanged, MessageDeleted, TooManyReactions);

/// Delete a message
///
/// For both users, by its author: a tombstone with `deleted_at` and without content takes its
/// place, and if it was not read yet it no longer counts. Deleting it again changes nothing.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    params(PathMessage),
    responses(
        (status = 200, description = "The tombstone.", body = Message,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "", "deleted_at": "2026-01-31T12:02:00.000Z"})),
        ChangeMessageErrors,
    )
)]
#[delete("/conversations/{user}/{peer}/messages/{seq}")]
pub async fn delete_message(
    caller: Caller,
    path: PathMessage,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.send);
    let act = path.act(&caller, charge.as_ref())?;
    store.delete_message(act, path.seq).await.map(answer)
}

/// React to a message
///
/// Adds a reaction of `user`, who is either of the two. The same reaction twice is one.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    params(PathReaction),
    responses(
        (status = 200, description = "The message as it now is.", body = Message,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?", "reactions": {"👍": ["bob"]}})),
        ChangeMessageErrors,
    )
)]
#[put("/conversations/{user}/{peer}/messages/{seq}/reactions/{emoji}")]
pub async fn add_reaction(
    caller: Caller,
    path: PathReaction,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.send);
    let act = path.message.act(&caller, charge.as_ref())?;
    store
        .add_reaction(act, path.message.seq, &path.emoji)
        .await
        .map(answer)
}

/// Take back a reaction
///
/// Takes a reaction of `user` away. One that is not there is taken away already.
/// A user may for itself, a backend for anybody.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    params(PathReaction),
    responses(
        (status = 200, description = "The message as it now is.", body = Message,
            headers(("ETag" = String, description = "Its version.")),
            example = json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"})),
        ChangeMessageErrors,
    )
)]
#[delete("/conversations/{user}/{peer}/messages/{seq}/reactions/{emoji}")]
pub async fn remove_reaction(
    caller: Caller,
    path: PathReaction,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let charge = caller.charge(policies.send);
    let act = path.message.act(&caller, charge.as_ref())?;
    store
        .remove_reaction(act, path.message.seq, &path.emoji)
        .await
        .map(answer)
}

/// A message and its version.
fn answer(read: RateLimited<StoredMessage>) -> HttpResponse {
    let etag = HeaderValue::try_from(read.value.etag());
    let mut response = json::answer(read.value.0, read.quota);
    if let Ok(etag) = etag {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}
