//! `/messages/batch`: messages from another service.

use actix_web::web::{self, Data};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, post};
use serde_json::json;
use tokio::time::timeout;

use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::http::extract::{BODY_TIMEOUT, refuse_encoding, refuse_query};
use crate::http::{json, problem};
use crate::model::{Import, ImportLine, PendingMessage, parse_json};
use crate::operations::Operations;

/// The largest batch, in bytes.
const MAX_BATCH: usize = 16 * 1024 * 1024;

problem::refusals!(ImportMessagesErrors: CALL BODY CHANGE; ImportConflict);

/// Import messages
///
/// For backends that move here from another service. One message per line with its original
/// `sent_at`, oldest first within each conversation, at most 16 MiB. All lines are checked before
/// the first one is stored. Imported messages count as read by both users.
///
/// A batch can be repeated when its outcome is unknown: messages that are already stored are
/// skipped. A conversation that has messages sent here refuses imports.
#[utoipa::path(
    tag = "messages",
    security(("service_key" = [])),
    request_body(content = ImportLine, content_type = "application/x-ndjson",
        description = "One message per line, each like this one.",
        example = json!({"from": "alice", "to": "bob", "body": "Lunch at one?", "sent_at": "2019-01-31T12:00:00Z"})),
    responses(
        (status = 200, description = "How many messages were stored.", body = Import, example = json!({"imported": 1, "skipped": 0})),
        ImportMessagesErrors,
    )
)]
#[post("/messages/batch")]
pub async fn import_messages(
    caller: Caller,
    req: HttpRequest,
    body: web::Payload,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let import = operations.import_messages(&caller, read_batch(&req, body));
    Ok(json::answer(json!(import.await?).to_string(), None))
}

async fn read_batch(req: &HttpRequest, body: web::Payload) -> Result<Vec<PendingMessage>, Error> {
    refuse_query(req)?;
    refuse_encoding(req.headers())?;
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
        .map_err(|_| Error::new(Code::PayloadTooLarge, "The batch exceeds 16 MiB."))?
        .map_err(|_| Error::new(Code::MalformedJson, "The body is incomplete."))?;
    parse_batch(&bytes)
}

/// The messages of a batch. Empty lines are skipped; an error's pointer begins with the line,
/// counted from 0.
fn parse_batch(batch: &[u8]) -> Result<Vec<PendingMessage>, Error> {
    let lines = batch.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let messages = lines.map(|(number, line)| {
        let message = parse_json::<ImportLine>(line).and_then(ImportLine::into_draft);
        message.map_err(|e| e.within(&format!("/{number}")))
    });
    messages.collect()
}
