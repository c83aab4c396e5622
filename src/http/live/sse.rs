//! The stream of a user as server-sent events (HTML Living Standard, section 9.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;

use super::driver::ConnectionDriver;
use crate::error::{Code, Error};
use crate::http::connection::ClientConnection;
use crate::http::middleware::authenticate;
use crate::protocol::{Cursor, ServerMessage};
use crate::rate::RateLimitStatus;
use crate::realtime::Outgoing;

/// The cursor from which an `EventSource` resumes.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The cursor in the `Last-Event-ID` header of a request.
pub fn last_event_id(req: &HttpRequest) -> Result<Option<Cursor>, Error> {
    let id = req
        .headers()
        .get(LAST_EVENT_ID)
        .map(|id| id.to_str().unwrap_or_default());
    // Some clients send an empty id before their first event.
    let id = id.filter(|id| !id.is_empty());
    let refused = |why| Error::field(Code::InvalidRequest, "/header/last-event-id", why);
    id.map(|id| id.parse().map_err(refused)).transpose()
}

/// The response that is an event stream.
pub fn respond(
    req: &HttpRequest,
    driver: ConnectionDriver,
    quota: Option<RateLimitStatus>,
) -> HttpResponse {
    let stream = EventStream {
        connection: ClientConnection::of(req).cloned(),
        driver,
        retry_ms: Some(1000 + Utc::now().timestamp_subsec_millis() * 3),
        closed: false,
    };
    head(quota).map_body(|_, _| BoxBody::new(stream))
}

/// The status and headers of an event stream.
pub fn head(quota: Option<RateLimitStatus>) -> HttpResponse {
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
        // A client cannot send commands on an event stream, so none is refused.
        Outgoing::Refusal(..) => String::new(),
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
