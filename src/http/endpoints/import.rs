//! `/messages/batch`: messages from elsewhere.

use actix_web::web::{self, Data};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, post};
use serde_json::json;
use tokio::time::timeout;

use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::http::extract::BODY_TIMEOUT;
use crate::http::{json, problem};
use crate::model::{Import, ImportLine, PendingMessage, parse_json};
use crate::store::Store;

/// The largest batch, in bytes.
const MAX_BATCH: usize = 16 * 1024 * 1024;

problem::refusals!(ImportMessagesErrors: CALL BODY CHANGE; ImportConflict);

/// Import messages
///
/// For backends that move here from elsewhere. A line a message, oldest first within each
/// conversation, with its original `sent_at`; at most 16 MiB. All lines are checked before the
/// first is stored. They count as read by both. A batch whose outcome is unknown is sent again as
/// it is: what is there already is skipped. A conversation to which messages were sent takes no
/// more imports.
#[utoipa::path(
    tag = "messages",
    security(("service_key" = [])),
    request_body(content = ImportLine, content_type = "application/x-ndjson",
        description = "A line a message, each like this one.",
        example = json!({"from": "alice", "to": "bob", "body": "Lunch at one?", "sent_at": "2019-01-31T12:00:00Z"})),
    responses(
        (status = 200, description = "What was done.", body = Import, example = json!({"imported": 1, "skipped": 0})),
        ImportMessagesErrors,
    )
)]
#[post("/messages/batch")]
pub async fn import_messages(
    caller: Caller,
    req: HttpRequest,
    body: web::Payload,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    caller.require_backend()?;
    if !req
        .content_type()
        .eq_ignore_ascii_case("application/x-ndjson")
    {
        let why = "must be application/x-ndjson";
        return Err(Error::field(
            Code::UnsupportedMediaType,
            "/header/content-type",
            why,
        ));
    }
    let received = timeout(BODY_TIMEOUT, body.to_bytes_limited(MAX_BATCH)).await;
    let bytes = received
        .map_err(|_| Code::RequestTimeout)?
        .map_err(|_| Error::new(Code::PayloadTooLarge, "a batch takes 16 MiB"))?
        .map_err(|_| Error::new(Code::MalformedJson, "The body broke off."))?;
    let import = store.import_messages(drafts(&bytes)?).await?;
    Ok(json::answer(json!(import).to_string(), None))
}

/// The messages of a batch. Empty lines are passed over; errors name the line, counted from 0.
fn drafts(batch: &[u8]) -> Result<Vec<PendingMessage>, Error> {
    let lines = batch.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let drafts = lines.map(|(number, line)| {
        let draft = parse_json::<ImportLine>(line).and_then(ImportLine::into_draft);
        draft.map_err(|e| e.within(&format!("/{number}")))
    });
    drafts.collect()
}
