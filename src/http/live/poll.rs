//! `GET /events`: one page of events, for clients that poll.

use std::future::poll_fn;
use std::time::Duration;

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::handshake::Handshake;
use super::sse;
use crate::error::Error;
use crate::http::connection::ClientConnection;
use crate::http::extract::QueryParams;
use crate::http::middleware::head::IsHead;
use crate::http::{json, problem};
use crate::model::{Limit, UserId, Wait};
use crate::protocol::{Cursor, EventPage, Notification};
use crate::realtime::ConnectionGuard;

/// The query of `GET /events`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// The user whose events to read. Required for backends and if the service is open.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255, pattern = "^(?!room:)(?!\\.{1,2}$)[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}$")]
    user: Option<UserId>,
    /// Only events after this cursor: the `next_cursor` of the previous response. By default the stream
    /// starts now. The former name `after` is accepted too.
    #[serde(alias = "after")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]{1,16}-[0-9]{1,16}(~1?[0-9]{1,19}-[0-9]{1,16}-[0-9]{1,16}-[0-9a-f]{8})?$")]
    cursor: Option<Cursor>,
    /// The maximum number of events.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Seconds to wait for an event.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 30, default = 0)]
    wait: Wait,
    /// A ticket of `POST /tickets`, in place of a credential.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 128)]
    #[expect(dead_code, reason = "`handshake::ticket` reads it")]
    ticket: Option<String>,
}

problem::refusals!(ReadEventsErrors: CALL READ; TooManyConnections, Busy);

/// Read events
///
/// One page of the events of a user after `cursor`, without `typing` and `presence.changed`. If there are
/// none, the service waits up to `wait` seconds for the first. Users read their own events, backends those
/// of any user. `docs/live.md` describes how a client handles each event.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(EventQuery),
    responses(
        (status = 200, description = "A page of events and the cursor of the next request.", body = EventPage,
            example = json!({"events": [], "next_cursor": "1768564800000000-1768564800123456"})),
        ReadEventsErrors,
    )
)]
#[get("/events")]
pub async fn read_events(
    req: HttpRequest,
    query: Result<QueryParams<EventQuery>, Error>,
    IsHead(is_head): IsHead,
    handshake: Handshake,
) -> Result<HttpResponse, Error> {
    let mut wanted = EventQuery::default();
    let user = || {
        wanted = query?.0;
        Ok(wanted.user.take())
    };
    let listener = handshake.admit(&req, user).await?;
    if wants_stream(&req) {
        return sse::answer(&req, handshake, listener, wanted.cursor, is_head).await;
    }
    let seconds = if is_head { 0 } else { wanted.wait.seconds() };
    let deadline = Instant::now() + Duration::from_secs(seconds.into());
    let (connection, state) = handshake.join(&listener, seconds > 0).await?;
    if !is_head {
        handshake.redeem(&listener).await?;
    }
    let after = wanted.cursor.unwrap_or(state.value.cursor);
    let limit = wanted.limit.get();
    loop {
        let (caller, user) = (&listener.identity.caller, &listener.user);
        let operations = &handshake.operations;
        let page = operations.read_events(caller, user, after, limit).await?;
        let found = !page.events.is_empty() || page.more;
        if found || !is_notified(&req, connection.as_ref(), deadline).await {
            return Ok(json::answer(page.to_json(), state.quota));
        }
    }
}

/// Whether the client is an `EventSource`. The path of the event stream was `/events`, and is still accepted.
fn wants_stream(req: &HttpRequest) -> bool {
    let accepts = req
        .headers()
        .get_all(ACCEPT)
        .filter_map(|a| a.to_str().ok());
    accepts.flat_map(|a| a.split(',')).any(|media_type| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("text/event-stream")
    })
}

/// Waits until there may be an event to read. `false` if there is none before the deadline, if the client
/// does not wait, or if it has disconnected.
async fn is_notified(
    req: &HttpRequest,
    connection: Option<&ConnectionGuard>,
    deadline: Instant,
) -> bool {
    let Some(connection) = connection else {
        return false;
    };
    loop {
        tokio::select! {
            biased;
            notification = poll_fn(|cx| connection.poll(cx)) => match notification {
                Notification::Event(event) if event.cursor().is_some() => return true,
                Notification::Gap => return true,
                Notification::Event(_) | Notification::RoomEvent(_) | Notification::Heartbeat => (),
                Notification::Close(_) => return false,
            },
            () = ClientConnection::closed_by_client(req) => return false,
            () = sleep_until(deadline) => return false,
        }
    }
}
