//! `GET /events/stream`: the stream of a user as server-sent events (HTML Living Standard, section 9.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::Utc;

use super::driver::ConnectionDriver;
use super::handshake::{Handshake, Listener, StreamQuery};
use crate::error::{Code, Error};
use crate::http::connection::ClientConnection;
use crate::http::extract::QueryParams;
use crate::http::middleware::authenticate;
use crate::http::middleware::head::IsHead;
use crate::http::problem;
use crate::protocol::{Cursor, ServerMessage};
use crate::rate::RateLimitStatus;
use crate::realtime::{Outgoing, Session};

/// The cursor from which an `EventSource` resumes.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

problem::refusals!(StreamEventsErrors: CALL READ; TooManyConnections, Busy);

/// Stream events
///
/// The event stream of a user as server-sent events, resumed from `Last-Event-ID` or `cursor`. Each `data` is
/// a `ServerMessage`: `hello`, then events, and `close` before the service ends the stream. Users stream their
/// own events, backends those of any user. `docs/live.md` describes how a client handles each event.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, nullable = false, example = "1768564800000000-1768564800123456", pattern = "^[0-9]{1,16}-[0-9]{1,16}(~1?[0-9]{1,19}-[0-9]{1,16}-[0-9]{1,16}-[0-9a-f]{8})?$",
            description = "The cursor after which the stream resumes. Takes precedence over `cursor`.")
    ),
    responses(
        (status = 200, description = "The stream. The schema and the example are those of one `data`.",
            content_type = "text/event-stream", body = ServerMessage,
            example = json!({"type": "typing", "cursor": "1768564800000000-1768564800123456", "peer": "bob"})),
        StreamEventsErrors,
    )
)]
#[get("/events/stream")]
pub async fn stream_events(
    req: HttpRequest,
    query: Result<QueryParams<StreamQuery>, Error>,
    IsHead(is_head): IsHead,
    handshake: Handshake,
) -> Result<HttpResponse, Error> {
    let (listener, cursor) = handshake.admit_to_stream(&req, query).await?;
    answer(&req, handshake, listener, cursor, is_head).await
}

/// Opens the stream of a listener, resumed from `Last-Event-ID` or a cursor.
pub async fn answer(
    req: &HttpRequest,
    handshake: Handshake,
    listener: Listener,
    cursor: Option<Cursor>,
    is_head: bool,
) -> Result<HttpResponse, Error> {
    let resume = last_event_id(req)?.or(cursor);
    if is_head {
        let (_, state) = handshake.join(&listener, false).await?;
        return Ok(head(state.quota));
    }
    let (driver, quota) = handshake.open(listener, resume, Session::one_way).await?;
    let stream = EventStream {
        connection: ClientConnection::of(req).cloned(),
        driver,
        retry_ms: Some(1000 + Utc::now().timestamp_subsec_millis() * 3),
        closed: false,
    };
    Ok(head(quota).map_body(|_, _| BoxBody::new(stream)))
}

/// The cursor in the `Last-Event-ID` header of a request.
fn last_event_id(req: &HttpRequest) -> Result<Option<Cursor>, Error> {
    let id = req
        .headers()
        .get(LAST_EVENT_ID)
        .map(|id| id.to_str().unwrap_or_default());
    // Some clients send an empty id before their first event.
    let id = id.filter(|id| !id.is_empty());
    let refused = |why| Error::field(Code::InvalidRequest, "/header/last-event-id", why);
    id.map(|id| id.parse().map_err(refused)).transpose()
}

/// The status and headers of an event stream.
fn head(quota: Option<RateLimitStatus>) -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        // nginx buffers responses unless told not to.
        .insert_header(("x-accel-buffering", "no"))
        .body(body::None::new());
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    response
}

/// An open event stream, as a response body that has no length.
struct EventStream {
    connection: Option<Rc<ClientConnection>>,
    driver: ConnectionDriver,
    /// After how long the client reconnects; `None` once it was sent. Each stream has another value, so
    /// that not all clients reconnect at once.
    retry_ms: Option<u32>,
    closed: bool,
}

impl MessageBody for EventStream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        let connection = this.connection.as_ref();
        if this.closed || connection.is_some_and(|connection| connection.has_client_closed()) {
            return Poll::Ready(None);
        }
        let outgoing = ready!(this.driver.poll(cx));
        this.closed = matches!(outgoing, Outgoing::Close(_));
        let retry = this.retry_ms.take().map(|ms| format!("retry: {ms}\n"));
        let text = retry.unwrap_or_default() + &encode(outgoing);
        Poll::Ready(Some(Ok(text.into())))
    }
}

/// The lines to send.
fn encode(outgoing: Outgoing) -> String {
    match outgoing {
        Outgoing::Event(event) => data(event.json(), event.cursor()),
        Outgoing::Message { json, cursor } => data(&json, cursor),
        // A client cannot send commands on an event stream, so none is refused, and no room is watched.
        Outgoing::Refusal(..) | Outgoing::RoomEvent(_) | Outgoing::Unwatched(..) => String::new(),
        Outgoing::Ping => ":\n\n".to_owned(),
        Outgoing::Close(reason) => {
            let reason = reason.reason().to_owned();
            data(&ServerMessage::Close { reason }.to_json(), None)
        }
    }
}

fn data(json: &str, cursor: Option<Cursor>) -> String {
    match cursor {
        Some(cursor) => format!("id: {cursor}\ndata: {json}\n\n"),
        None => format!("data: {json}\n\n"),
    }
}
