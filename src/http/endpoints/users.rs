//! `/users`: export and erasure of all data of a user.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, delete, get};
use futures_util::stream;
use serde_json::json;

use super::examples;
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::NoInput;
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::Erasure;
use crate::operations::Operations;

problem::refusals!(ExportUserErrors: CALL READ);

/// Export a user
///
/// Streams all data of `user` as NDJSON, each line an `ExportLine`: for each conversation a line
/// `{"conversation":{...}}` with the settings of the user, then a line `{"message":{...}}` for each of its
/// messages, oldest first, including cleared ones. Of a room, also of one that the user has left, only the messages
/// of the user follow. If the store fails midway, the connection is aborted,
/// so a body that ends properly is complete. Users export themselves, backends any user.
#[utoipa::path(
    tag = "users",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathUser),
    responses(
        (status = 200, description = "The export.", body = String, content_type = "application/x-ndjson",
            example = json!(examples::export())),
        ExportUserErrors,
    )
)]
#[get("/users/{user}/export")]
pub async fn export_user(
    caller: Caller,
    PathUser { user }: PathUser,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let mut export = operations.export_user(&caller, user).await?;
    // Read before the response begins, so that a failure still gets a problem document.
    let first = export.next().await?;
    let lines = stream::unfold((export, first), async |(mut export, lines)| {
        let lines = lines?;
        match export.next().await {
            Ok(next) => Some((Ok(Bytes::from(lines)), (export, next))),
            Err(error) => Some((Err(error), (export, None))),
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((
            CONTENT_DISPOSITION,
            "attachment; filename=\"export.ndjson\"",
        ))
        .content_type("application/x-ndjson")
        .streaming(Box::pin(lines)))
}

problem::refusals!(EraseUserErrors: CALL CHANGE);

/// Erase a user
///
/// For backends. Replaces all messages of `user` by tombstones, removes their reactions, and deletes
/// their inbox with all receipts and flags. The user leaves all rooms, and bans of the user are lifted; its messages
/// in rooms that it has left are replaced too. Messages of the peers remain until the peer is erased too;
/// then the whole conversation is deleted. Later activity of the peers restores nothing. If the id is used
/// again, it starts as a new user. A request works for up to about 10 seconds; `done: false` means that
/// there is more, and repeating the request continues. Erasing a user without data changes nothing.
#[utoipa::path(
    tag = "users",
    security(("bearer" = ["backend"])),
    params(PathUser),
    responses(
        (status = 200, description = "The progress.", body = Erasure,
            example = json!({"user": "bob", "conversations": 12, "messages_erased": 340, "done": true})),
        EraseUserErrors,
    )
)]
#[delete("/users/{user}")]
pub async fn erase_user(
    caller: Caller,
    PathUser { user }: PathUser,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let erasure = operations.erase_user(&caller, &user).await?;
    Ok(json::answer(json!(erasure).to_string(), None))
}
