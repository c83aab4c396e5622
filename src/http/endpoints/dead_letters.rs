//! `/subscriptions/{name}/dead`: what webhooks did not take, for backends.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde_json::json;

use super::examples;
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{JsonBody, QueryParams};
use crate::http::path::PathSubscription;
use crate::http::{json, problem};
use crate::model::{DeadLetterPage, DeadLetterSelection, DeadLettersQuery, RetriedDeadLetters};
use crate::operations::Operations;

problem::refusals!(ListDeadLettersErrors: CALL READ; SubscriptionNotFound);

/// List dead letters
///
/// The events that the webhook of a subscription did not take in eight attempts, although it took others meanwhile. A
/// subscription has at most 10,000; while it does, further events wait. They are kept for 30 days after the last one. For
/// backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription, DeadLettersQuery),
    responses(
        (status = 200, description = "The dead letters.", body = DeadLetterPage, example = json!(examples::dead_letter_page())),
        ListDeadLettersErrors,
    )
)]
#[get("/subscriptions/{name}/dead")]
pub async fn list_dead_letters(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    QueryParams(query): QueryParams<DeadLettersQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let found = operations.list_dead_letters(&caller, &name, &query).await?;
    Ok(json::answer(found.value.to_json(), found.quota))
}

problem::refusals!(RetryDeadLettersErrors: CALL BODY CHANGE; SubscriptionNotFound);

/// Send dead letters again
///
/// Sends events again that the webhook of a subscription did not take, one after another, once each: an event that fails
/// is a dead letter again. Ids that are not dead letters are ignored. For backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription),
    request_body(content = DeadLetterSelection, description = "The dead letters.", example = json!({"ids": ["17-1795194096051-0"]})),
    responses(
        (status = 200, description = "How many are sent again.", body = RetriedDeadLetters, example = json!({"retried": 1})),
        RetryDeadLettersErrors,
    )
)]
#[post("/subscriptions/{name}/dead/retry")]
pub async fn retry_dead_letters(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    JsonBody(selection): JsonBody<DeadLetterSelection>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let done = operations
        .retry_dead_letters(&caller, &name, selection)
        .await?;
    Ok(json::answer(json!(done.value).to_string(), done.quota))
}
