//! `/messages/batch`: import of messages from another service.

use actix_web::web::{self, Data};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, post};
use serde_json::json;

use super::examples;
use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::http::extract::{receive, refuse_encoding, refuse_query};
use crate::http::{json, problem};
use crate::model::{ImportResult, ImportedMessage, parse_batch};
use crate::operations::Operations;

/// The largest batch, in bytes.
const MAX_BATCH: usize = 16 * 1024 * 1024;

problem::refusals!(ImportMessagesErrors: CALL BODY CHANGE; ImportConflict, ReplyToNotFound);

/// Import messages
///
/// For backends that migrate from another service. One message (`ImportLine`) per line with its original `sent_at`, at
/// most 16 MiB. All lines are validated before the first message is stored; the errors of a refused batch
/// name each invalid line. Within a batch, the messages of a conversation are stored in the order of
/// `sent_at`; a later batch appends. Imported messages count as read by both users.
///
/// A batch can be repeated within 30 days: messages that are already stored are skipped, even if
/// retention has dropped them since. A line is identified by its `id`. Without an `id` it is identified
/// by its content and by how many equal lines precede it in the batch, so equal lines in different
/// batches need an `id`, which `duologue import` adds. Lines of an export are accepted unchanged, with
/// edits, reactions and deletions.
///
/// A conversation to which messages were sent directly refuses imports. If some messages cannot be stored,
/// the messages of other conversations are stored: `imported` and `skipped` of the problem count them, and
/// `errors` names the line and the conversation of each message that was not stored.
#[utoipa::path(
    tag = "messages",
    security(("bearer" = ["backend"])),
    request_body(content = String, content_type = "application/x-ndjson",
        description = "NDJSON: each line is an `ImportLine`.", example = json!(examples::import())),
    responses(
        (status = 200, description = "How many messages were stored.", body = ImportResult, example = json!({"imported": 1, "skipped": 0})),
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

async fn read_batch(req: &HttpRequest, body: web::Payload) -> Result<Vec<ImportedMessage>, Error> {
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
    let bytes = receive(body, MAX_BATCH).await?;
    let bytes =
        bytes.ok_or_else(|| Error::new(Code::PayloadTooLarge, "The batch exceeds 16 MiB."))?;
    parse_batch(&bytes)
}
