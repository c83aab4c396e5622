//! `/messages`.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use actix_web::web::Data;
use actix_web::{HttpResponse, post};

use super::access::{self, Policies};
use super::extract::JsonBody;
use super::problem;
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{Draft, Message, NewMessage, Seq};
use crate::store::Store;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

problem::refusals!(SendMessageErrors {
    InvalidRequest,
    MalformedJson,
    Unauthenticated,
    Forbidden,
    RateLimited,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    ReplyToNotFound,
    Internal,
    Unavailable,
    OutcomeUnknown,
    StorageFull
});

/// Send a message
///
/// Appends the message to the conversation of `from` and `to` and counts it as unread for `to`,
/// atomically. A user sends as itself, a backend as anybody. A 201 means that it is stored; how safely, `/readyz` tells.
#[utoipa::path(
    tag = "messages",
    security(("user_token" = []), ("service_key" = [])),
    request_body(
        content = NewMessage,
        description = "The message.",
        examples(
            ("text" = (summary = "A text", value = json!({"from": "alice", "to": "bob", "body": "Lunch at one?"}))),
            ("with_attachment" = (summary = "With an attachment and metadata", value = json!({
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
                "body": "Lunch at one?", "sent_at": "2026-01-31T12:00:00.000Z"})),
        SendMessageErrors,
    )
)]
#[post("/messages")]
pub async fn send_message(
    caller: Caller,
    message: JsonBody<NewMessage>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let JsonBody(mut message) = message;
    let from = caller.acting_as(message.from.take(), "/from")?;
    let draft = Draft::new(from, message)?;
    let charge = caller.charge(policies.send);
    let sent = store.send_message(&draft, charge.as_ref()).await?;
    let (seq, message) = sent.value;
    let mut response = HttpResponse::Created()
        .insert_header((LOCATION, location(&draft, seq)))
        .insert_header((CONTENT_TYPE, JSON))
        .body(message.0);
    access::announce(response.headers_mut(), sent.quota);
    Ok(response)
}

/// Where a message can be read. Not `format!`, which grows its string step by step.
fn location(draft: &Draft, seq: Seq) -> String {
    let (from, to) = (draft.from().as_str(), draft.to().as_str());
    let after = (seq.get() - 1).to_string();
    [
        "/conversations/",
        from,
        "/",
        to,
        "?after=",
        &after,
        "&limit=1&peek=true",
    ]
    .concat()
}
