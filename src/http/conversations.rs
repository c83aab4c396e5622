//! `/conversations`.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use super::access::{self, Policies};
use super::extract::{PathUsers, QueryParams};
use super::problem;
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{Conversation, PageQuery};
use crate::store::Store;

problem::refusals!(ReadConversationErrors {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    RateLimited,
    Internal,
    Unavailable,
    OutcomeUnknown
});

/// Read a conversation
///
/// Answers a page of history, the unread count and the unread messages of `user`, and marks
/// everything as read, in one atomic step: of several readers at once exactly one is told of each
/// message as unread. The first path segment is the reader:
/// a user reads as itself, a backend as anybody. With `peek=true` nothing is marked.
/// A conversation without messages is an empty one, not an error.
#[utoipa::path(
    tag = "conversations",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUsers, PageQuery),
    responses(
        (status = 200, description = "The page, and what was unread until now.", body = Conversation,
            example = json!({"user": "bob", "peer": "alice",
                "history": [{"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                    "body": "Lunch at one?", "sent_at": "2026-01-31T12:00:00.000Z"}],
                "unread_count": 1,
                "unread": [{"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
                    "body": "Lunch at one?", "sent_at": "2026-01-31T12:00:00.000Z"}],
                "last_seq": 1, "peer_read_seq": 0, "next_before": null, "next_after": null})),
        ReadConversationErrors,
    )
)]
#[get("/conversations/{user}/{peer}")]
pub async fn read_conversation(
    caller: Caller,
    users: PathUsers,
    query: QueryParams<PageQuery>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let PathUsers { user, peer } = users;
    caller.act_as(&user)?;
    let charge = caller.charge(policies.read);
    let read = store
        .read_conversation(user, peer, &query.0, charge.as_ref())
        .await?;
    let mut response = HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .body(read.value.to_json());
    access::announce(response.headers_mut(), read.quota);
    Ok(response)
}
