//! `/users`: everything of a user, taken away or erased.

use std::collections::VecDeque;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, delete, get};
use futures_util::stream;
use serde_json::json;

use crate::auth::Caller;
use crate::error::Error;
use crate::http::middleware::authenticate::Policies;
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::{Erasure, Seq, UserId};
use crate::store::Store;

problem::refusals!(ExportUserErrors: CALL READ);

/// Export a user
///
/// Everything that is kept of `user`, as NDJSON: for each conversation a line
/// `{"conversation":{"peer":...}}` and then a line `{"message":{...}}` for each of its messages,
/// newest first, what the user cleared included. Streams, whatever the size; a store that fails
/// midway breaks the connection off, so what ends properly is complete. A user exports itself, a
/// backend anybody.
#[utoipa::path(
    tag = "users",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUser),
    responses(
        (status = 200, description = "The lines.", body = String, content_type = "application/x-ndjson",
            example = json!("{\"conversation\":{\"peer\":\"alice\"}}\n")),
        ExportUserErrors,
    )
)]
#[get("/users/{user}/export")]
pub async fn export_user(
    caller: Caller,
    path: PathUser,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    caller.authorize(&path.user)?;
    if let Some(charge) = caller.charge(policies.request) {
        store
            .charge_rate(&charge)
            .await
            .map_err(Error::as_read_error)?;
    }
    let mut export = Export::of(path.user, Store::clone(&store));
    // What fails at once is answered with a problem, not with a broken connection.
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

/// An export on its way: what was found and is still to be read.
struct Export {
    user: UserId,
    store: Store,
    /// Where the scan of conversations goes on; `None` at its end.
    cursor: Option<String>,
    /// Conversations to read, each with where to go on in it.
    pending: VecDeque<(UserId, Option<Seq>)>,
}

impl Export {
    fn of(user: UserId, store: Store) -> Self {
        Self {
            user,
            store,
            cursor: Some("0".into()),
            pending: VecDeque::new(),
        }
    }

    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        while self.pending.is_empty() {
            let Some(cursor) = self.cursor.take() else {
                return Ok(None);
            };
            let (peers, next) = self.store.scan_conversations(&self.user, &cursor).await?;
            self.cursor = next;
            self.pending
                .extend(peers.into_iter().map(|(peer, _)| (peer, None)));
        }
        let Some((peer, before)) = self.pending.pop_front() else {
            return Ok(None);
        };
        let (messages, next) = self
            .store
            .export_messages(&self.user, &peer, before)
            .await?;
        let mut lines = String::new();
        if before.is_none() {
            lines.push_str(&json!({"conversation": {"peer": &peer}}).to_string());
            lines.push('\n');
        }
        for message in messages {
            lines.push_str("{\"message\":");
            lines.push_str(&message.0);
            lines.push_str("}\n");
        }
        if next.is_some() {
            self.pending.push_front((peer, next));
        }
        Ok(Some(lines))
    }
}

problem::refusals!(EraseUserErrors: CALL CHANGE);

/// Erase a user
///
/// For backends. What `user` wrote becomes tombstones, and their inbox goes; what others wrote to
/// them stays with the others. Works for some seconds and then answers; with `done: false` there
/// is more to do, and calling again goes on, as it does after an interruption. Erasing a user who
/// is gone does nothing.
#[utoipa::path(
    tag = "users",
    security(("service_key" = [])),
    params(PathUser),
    responses(
        (status = 200, description = "What was done.", body = Erasure,
            example = json!({"user": "bob", "conversations": 12, "messages_erased": 340, "done": true})),
        EraseUserErrors,
    )
)]
#[delete("/users/{user}")]
pub async fn erase_user(
    caller: Caller,
    path: PathUser,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    caller.require_backend()?;
    let erasure = store.erase_user(&path.user).await?;
    Ok(json::answer(json!(erasure).to_string(), None))
}
