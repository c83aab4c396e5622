//! `/subscriptions`: everything that happens, for backends.

use std::pin::pin;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use utoipa::IntoResponses;

use super::{examples, no_content};
use crate::auth::Caller;
use crate::error::Error;
use crate::http::connection::ClientConnection;
use crate::http::extract::{JsonBody, NoInput, QueryParams};
use crate::http::header::IfNoneMatchHeader;
use crate::http::middleware::head::IsHead;
use crate::http::path::PathSubscription;
use crate::http::{json, problem};
use crate::model::{
    AckInput, AckResult, FeedPage, RawFeedPage, SeekInput, SeekResult, Subscription,
    SubscriptionInput, SubscriptionList, TakeQuery,
};
use crate::operations::Operations;
use crate::realtime::Hub;

/// Pause of a waiting request between an event and its next look, so that many events cause few looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a request waits without looking by itself.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

problem::refusals!(SetSubscriptionErrors: CALL BODY CHANGE; TooManySubscriptions, PreconditionFailed, SubscriptionNotFound);

/// The responses to a created or changed subscription, for openapi.yaml.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the derive reads it")]
enum SetSubscriptionResponses {
    /// The subscription was created.
    #[response(
        status = 201,
        headers(("Location" = String, description = "The path of the subscription.")),
        example = json!(examples::subscription())
    )]
    Created(Subscription),
    /// The subscription existed and has these settings now.
    #[response(status = 200, example = json!(examples::subscription()))]
    Changed(Subscription),
}

/// Create or change a subscription
///
/// For backends. A subscription reads what happens from now on, or from the oldest event that is kept. If it exists,
/// its settings are replaced and it continues where it is. With `If-None-Match: *` an existing one is not changed.
/// There are at most 32. With `url` its events are sent there; the response has the `secret` that signs them if the
/// service made it, and no other response has it.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription, IfNoneMatchHeader),
    request_body(content = SubscriptionInput, description = "The settings.", example = json!(examples::new_subscription())),
    responses(SetSubscriptionResponses, SetSubscriptionErrors)
)]
#[put("/subscriptions/{name}")]
pub async fn set_subscription(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    IfNoneMatchHeader(only_create): IfNoneMatchHeader,
    JsonBody(input): JsonBody<SubscriptionInput>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let set = operations
        .set_subscription(&caller, &name, input, only_create)
        .await?;
    let (subscription, is_new) = set.value;
    let json = json!(subscription).to_string();
    if !is_new {
        return Ok(json::answer(json, set.quota));
    }
    let location = ["/subscriptions/", name.as_str()].concat();
    Ok(json::created(json, set.quota, Some(&location)))
}

problem::refusals!(ListSubscriptionsErrors: CALL READ);

/// List subscriptions
///
/// For backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    responses(
        (status = 200, description = "All subscriptions.", body = SubscriptionList,
            example = json!({"subscriptions": [examples::subscription()]})),
        ListSubscriptionsErrors,
    )
)]
#[get("/subscriptions")]
pub async fn list_subscriptions(
    caller: Caller,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let list = operations.list_subscriptions(&caller).await?;
    Ok(json::answer(json!(list.value).to_string(), list.quota))
}

problem::refusals!(ReadSubscriptionErrors: CALL READ; SubscriptionNotFound);

/// Read a subscription
///
/// Its settings, and what it has not read. For backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription),
    responses(
        (status = 200, description = "The subscription.", body = Subscription, example = json!(examples::subscription())),
        ReadSubscriptionErrors,
    )
)]
#[get("/subscriptions/{name}")]
pub async fn read_subscription(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let found = operations.read_subscription(&caller, &name).await?;
    Ok(json::answer(json!(found.value).to_string(), found.quota))
}

problem::refusals!(DeleteSubscriptionErrors: CALL CHANGE; SubscriptionNotFound);

/// Delete a subscription
///
/// Deletes it with everything that is kept only for it. For backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription),
    responses((status = 204, description = "The subscription is deleted."), DeleteSubscriptionErrors)
)]
#[delete("/subscriptions/{name}")]
pub async fn delete_subscription(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let deleted = operations.delete_subscription(&caller, &name).await?;
    Ok(no_content(deleted.quota))
}

problem::refusals!(TakeEventsErrors: CALL CHANGE; SubscriptionNotFound, SubscriptionIsPushed);

/// Take events
///
/// The next events for a consumer. Events that it took and has not acknowledged come again, so the request can be
/// repeated. If there are none, the service waits up to `wait` seconds for the first. Events of a conversation are in
/// order: until a consumer has acknowledged some, no other consumer gets those that follow, unless `ack_wait_s` has
/// passed; then the other gets them again. An event can be given more than once: whoever remembers the last `id` of each
/// conversation and ignores those up to it has each exactly once. For backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription, TakeQuery),
    responses(
        (status = 200, description = "The events.", body = FeedPage, example = json!(examples::feed_page())),
        TakeEventsErrors,
    )
)]
#[get("/subscriptions/{name}/events")]
pub async fn take_events(
    req: HttpRequest,
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    QueryParams(mut query): QueryParams<TakeQuery>,
    IsHead(is_head): IsHead,
    operations: Data<Operations>,
    hub: Data<Hub>,
) -> Result<HttpResponse, Error> {
    query.is_head = is_head;
    let deadline = Instant::now() + Duration::from_secs(query.wait_s().into());
    let first = operations.take_events(&caller, &name, &query, true).await?;
    let is_over = |page: &RawFeedPage| {
        !page.events.is_empty() || Instant::now() >= deadline || hub.is_stopping()
    };
    let mut page = first.value;
    if !is_over(&page) {
        let waiter = hub.feed().join().await?;
        loop {
            // Before the look, so that nothing is missed in between.
            let mut appended = pin!(waiter.appended());
            appended.as_mut().enable();
            let taken = operations.take_events(&caller, &name, &query, false);
            page = taken.await?.value;
            if is_over(&page) {
                break;
            }
            let look = deadline.min(Instant::now() + LOOK_INTERVAL);
            tokio::select! {
                () = appended => sleep(PAUSE).await,
                () = sleep_until(look) => {}
                () = ClientConnection::closed_by_client(&req) => break,
            }
        }
    }
    Ok(json::answer(page.to_json(), first.quota))
}

problem::refusals!(AckEventsErrors: CALL BODY CHANGE; SubscriptionNotFound, SubscriptionIsPushed);

/// Acknowledge events
///
/// The consumer has processed these events, and those before them in their partitions; they are not given again. Events
/// that another consumer has by now, because `ack_wait_s` has passed, are `late`: the other one processes them too. For
/// backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription),
    request_body(content = AckInput, description = "The events.", example = json!({"ids": ["17-1795194096051-0"]})),
    responses(
        (status = 200, description = "What was acknowledged.", body = AckResult, example = json!({"acknowledged": 1, "late": []})),
        AckEventsErrors,
    )
)]
#[post("/subscriptions/{name}/ack")]
pub async fn ack_events(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    JsonBody(input): JsonBody<AckInput>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let done = operations.ack_events(&caller, &name, input).await?;
    Ok(json::answer(json!(done.value).to_string(), done.quota))
}

problem::refusals!(ChangeSubscriptionErrors: CALL BODY CHANGE; SubscriptionNotFound);

/// Move a subscription
///
/// It continues at another place: with the oldest event that is kept, with the first event at a time or later, or with
/// what happens from now on. Events that consumers have not acknowledged count as acknowledged. Events are kept for
/// an hour after every subscription has read them. For backends.
#[utoipa::path(
    tag = "subscriptions",
    security(("bearer" = ["backend"])),
    params(PathSubscription),
    request_body(content = SeekInput, description = "The place.", example = json!({"to": "2026-01-31T12:00:00Z"})),
    responses(
        (status = 200, description = "Where it continues.", body = SeekResult, example = json!({"subscription": "archive", "lag": 57})),
        ChangeSubscriptionErrors,
    )
)]
#[post("/subscriptions/{name}/seek")]
pub async fn seek_subscription(
    caller: Caller,
    PathSubscription { name }: PathSubscription,
    JsonBody(SeekInput { to }): JsonBody<SeekInput>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let moved = operations.seek_subscription(&caller, &name, to).await?;
    Ok(json::answer(json!(moved.value).to_string(), moved.quota))
}
