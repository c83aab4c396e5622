//! `/messages`.

use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};

use super::extract::JsonBody;
use super::problem;
use crate::error::Error;
use crate::model::{Draft, Message, NewMessage};
use crate::store::Store;

problem::refusals!(SendMessageErrors {
    InvalidRequest,
    MalformedJson,
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
/// atomically. A 201 means that it is stored; how safely, `/readyz` tells.
#[utoipa::path(
    tag = "messages",
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
                "body": "Lunch at one?", "sent_at": "2026-01-31T12:00:00.000Z"})),
        SendMessageErrors,
    )
)]
#[post("/messages")]
pub async fn send_message(
    message: JsonBody<NewMessage>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let draft = Draft::new(message.0)?;
    let (seq, message) = store.send_message(&draft).await?;
    let (from, to) = (draft.from().as_str(), draft.to().as_str());
    let before = (seq.get() - 1).to_string();
    let query = ["?after=", &before, "&limit=1&peek=true"].concat();
    let location = ["/conversations/", from, "/", to, &query].concat();
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .content_type("application/json")
        .body(message.0))
}
