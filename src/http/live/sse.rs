//! The stream of a user as server-sent events (HTML Living Standard, section 9.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use super::driver::ConnectionDriver;
use crate::error::{Code, Error};
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
    let refused = |why| Error::field(Code::InvalidRequest, "/header/last-event-id", why);
    id.map(|id| id.parse().map_err(refused)).transpose()
}

/// The response that is an event stream.
pub fn respond(driver: ConnectionDriver, quota: Option<RateLimitStatus>) -> HttpResponse {
    let stream = EventStream {
        driver,
        closed: false,
    };
    head(quota).map_body(|_, _| BoxBody::new(stream))
}

/// The status and headers of an event stream.
pub fn head(quota: Option<RateLimitStatus>) -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // nginx buffers responses unless told not to.
        .insert_header(("x-accel-buffering", "no"))
        .body(body::None::new());
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    response
}

/// An open event stream, as a response body that has no length.
struct EventStream {
    driver: ConnectionDriver,
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
        if this.closed {
            return Poll::Ready(None);
        }
        let outgoing = ready!(this.driver.poll(cx));
        this.closed = matches!(outgoing, Outgoing::Close(_));
        Poll::Ready(Some(Ok(encode(outgoing).into())))
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
