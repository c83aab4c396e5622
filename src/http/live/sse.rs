//! `/events`: the stream of a user over server-sent events (HTML Living Standard, section 9.2), or
//! piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get, post};
use tokio::time::{Instant, timeout_at};

use super::driver::ConnectionDriver;
use super::handshake::Handshake;
use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::http::extract::QueryParams;
use crate::http::middleware::authenticate;
use crate::http::{json, problem};
use crate::model::Participants;
use crate::operations::Operations;
use crate::protocol::Notification;
use crate::protocol::{Cursor, Event, EventPage, EventQuery};
use crate::rate::RateLimitStatus;
use crate::realtime::{ConnectionGuard, ServerMessage, Session};

/// The cursor that an `EventSource` shows when it comes back.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

problem::refusals!(ReadEventsErrors: CALL READ; TooManyConnections, Busy);

/// Listen to events
///
/// With `Accept: text/event-stream` the stream of a user as it happens, resumed from
/// `Last-Event-ID` or `after`. Otherwise what happened behind `after`, as JSON, for which it waits
/// if told to; events that are not kept (`typing`, `presence.changed`) are not among it.
/// `docs/live.md` lists the events. A user listens to itself, a backend as anybody.
#[utoipa::path(
    tag = "live",
    security(("user_token" = []), ("service_key" = [])),
    params(
        EventQuery,
        ("Last-Event-ID" = Option<String>, Header, nullable = false, example = "1768564800000000-1768564800123456", pattern = "^[0-9]{1,16}-[0-9]{1,16}~?$",
            description = "Where to resume an event stream; comes before `after`.")
    ),
    responses(
        (status = 200, description = "The events, and what to pass as `after` in the next request; or a stream of them.", content(
            (Events = "application/json", example = json!({"events": [], "next_cursor": "1768564800000000-1768564800123456"})),
            (String = "text/event-stream", example = json!("id: 1768564800000000-1768564800123456\ndata: {\"type\":\"typing\",\"cursor\":\"1768564800000000-1768564800123456\",\"peer\":\"bob\"}\n\n"))
        )),
        ReadEventsErrors,
    )
)]
#[get("/events")]
pub async fn read_events(
    req: HttpRequest,
    query: Result<QueryParams<EventQuery>, Error>,
    entrance: Handshake,
) -> Result<HttpResponse, Error> {
    // A ticket stands in the query; a query out of form has none.
    let ticket = query.as_ref().ok().and_then(|q| q.0.ticket.clone());
    let mut wanted = EventQuery::default();
    let user = || {
        wanted = query?.0;
        Ok(wanted.user.take())
    };
    let listener = entrance.admit(&req, ticket.as_deref(), user).await?;
    let last_event_id = last_event_id(&req)?;
    if wants_stream(&req) {
        let resume = last_event_id.or(wanted.after);
        let (line, quota) = entrance.open(listener, resume, Session::one_way).await?;
        return Ok(stream(line, quota));
    }
    let deadline = Instant::now() + Duration::from_secs(wanted.wait.seconds().into());
    let waits = wanted.wait.seconds() > 0;
    let (seat, state) = entrance.sit(&listener, waits).await?;
    let after = wanted.after.unwrap_or(state.value.cursor);
    let limit = wanted.limit.get().into();
    loop {
        let (caller, user) = (&listener.identity.caller, &listener.user);
        let operations = &entrance.operations;
        let page = operations.read_events(caller, user, after, limit).await?;
        if !page.events.is_empty() || !something(seat.as_ref(), deadline).await {
            return Ok(page_json(&page, after, state.quota));
        }
    }
}

/// The answer that is an event stream.
fn stream(line: ConnectionDriver, quota: Option<RateLimitStatus>) -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // Proxies of one kind keep answers back unless told not to.
        .insert_header(("x-accel-buffering", "no"))
        .body(Stream { line, left: false });
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    response
}

fn wants_stream(req: &HttpRequest) -> bool {
    let accepts = req
        .headers()
        .get_all(ACCEPT)
        .filter_map(|a| a.to_str().ok());
    accepts.flat_map(|a| a.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/event-stream")
    })
}

fn last_event_id(req: &HttpRequest) -> Result<Option<Cursor>, Error> {
    let shown = req
        .headers()
        .get(LAST_EVENT_ID)
        .map(|id| id.to_str().unwrap_or_default());
    let refused = |why| Error::field(Code::InvalidRequest, "/header/last-event-id", why);
    shown.map(|id| id.parse().map_err(refused)).transpose()
}

/// An open event stream.
struct Stream {
    line: ConnectionDriver,
    left: bool,
}

impl MessageBody for Stream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if this.left {
            return Poll::Ready(None);
        }
        let tell = std::task::ready!(this.line.poll(cx));
        this.left = matches!(tell, ServerMessage::Leave(_));
        Poll::Ready(Some(Ok(message(tell).into())))
    }
}

/// What is told, as a message of the stream.
fn message(tell: ServerMessage) -> String {
    let told = |text: &str, at: Option<Cursor>| match at {
        Some(cursor) => format!("id: {cursor}\ndata: {text}\n\n"),
        None => format!("data: {text}\n\n"),
    };
    match tell {
        ServerMessage::Event(event) => told(event.text(), event.cursor()),
        ServerMessage::Say { text, at } => told(&text, at),
        // Nothing is asked for on a stream.
        ServerMessage::Refuse(..) => String::new(),
        ServerMessage::Ping => ":\n\n".to_owned(),
        ServerMessage::Leave(why) => {
            let reason = why.word();
            told(&format!(r#"{{"type":"close","reason":"{reason}"}}"#), None)
        }
    }
}

/// Waits until there may be something to read; `false` if it does not come in time, or nobody waits.
async fn something(seat: Option<&ConnectionGuard>, deadline: Instant) -> bool {
    let Some(seat) = seat else { return false };
    loop {
        match timeout_at(deadline, seat.next()).await {
            Ok(Notification::Event(event)) if event.cursor().is_some() => return true,
            Ok(Notification::Gap) => return true,
            Ok(Notification::Event(_) | Notification::Heartbeat) => (),
            Ok(Notification::Leave(_)) | Err(_) => return false,
        }
    }
}

fn page_json(page: &EventPage, after: Cursor, quota: Option<RateLimitStatus>) -> HttpResponse {
    let texts: Vec<_> = page.events.iter().map(Event::text).collect();
    let last = page.events.last().and_then(Event::cursor);
    let events = texts.join(",");
    let next = last.unwrap_or(after);
    json::answer(
        format!(r#"{{"events":[{events}],"next_cursor":"{next}"}}"#),
        quota,
    )
}

/// What happened, oldest first.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
struct Events {
    /// The events; `docs/live.md` lists them.
    events: Vec<serde_json::Map<String, serde_json::Value>>,
    /// What to pass as `after` in the next request.
    #[schema(value_type = String, pattern = "^[0-9]{1,16}-[0-9]{1,16}~?$")]
    next_cursor: Cursor,
}

problem::refusals!(AnnounceTypingErrors: CALL CHANGE);

/// Announce typing
///
/// Tells the devices of `peer` that `user` is typing, at most once a second and unless `peer` has
/// blocked `user`. To be repeated every few seconds while the user types. Users announce
/// themselves, backends any user.
#[utoipa::path(
    tag = "live",
    security(("user_token" = []), ("service_key" = [])),
    params(Participants),
    responses((status = 204, description = "Accepted; the peer is notified at most once a second."), AnnounceTypingErrors)
)]
#[post("/conversations/{user}/{peer}/typing")]
pub async fn announce_typing(
    caller: Caller,
    users: Participants,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let told = operations.announce_typing(&caller, &users).await?;
    let mut response = HttpResponse::NoContent().finish();
    authenticate::insert_rate_limit_headers(response.headers_mut(), told.quota);
    Ok(response)
}
