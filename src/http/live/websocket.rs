//! `GET /ws`: the event stream of a user over a WebSocket (RFC 6455), and commands of the client.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::ResponseBuilder;
use actix_http::ws::{self, CloseCode, Codec, HandshakeError, Message};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::Version;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError, get};
use chrono::Utc;
use tokio_util::codec::Encoder;

use super::driver::ConnectionDriver;
use super::handshake::{self, Handshake, StreamQuery};
use super::ws_messages::{WsMessage, WsReader};
use crate::error::{Code, Error};
use crate::http::connection::ClientConnection;
use crate::http::extract::{self, QueryParams};
use crate::http::middleware::authenticate;
use crate::http::middleware::head::IsHead;
use crate::http::problem;
use crate::metrics::Metrics;
use crate::model::fresh_id;
use crate::protocol::{CloseReason, Problem, RoomEvent, ServerMessage};
use crate::realtime::{Input, Outgoing};

/// The subprotocol of this service.
pub const PROTOCOL: &str = "duologue.v1";
/// Number of messages that are handled before other connections of the thread are polled.
const MESSAGES_PER_TURN: u8 = 32;

problem::refusals!(OpenSocketErrors: CALL READ; UpgradeRequired, TooManyConnections, Busy);

/// Open a WebSocket
///
/// Streams the events of a user, resumed from `cursor`, and accepts commands: send, mark as read or
/// delivered, announce typing. The subprotocol is `duologue.v1`, which `docs/live.md` describes message by
/// message. The credential is an `Authorization` header, a second subprotocol `bearer.<token>`, or a
/// ticket. Users open their own stream, backends that of any user.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(StreamQuery),
    responses(
        (status = 101, description = "The connection is a WebSocket; the first message is `hello`."),
        OpenSocketErrors,
    )
)]
#[get("/ws")]
pub async fn open_socket(
    req: HttpRequest,
    payload: Payload,
    query: Result<QueryParams<StreamQuery>, Error>,
    IsHead(is_head): IsHead,
    handshake: Handshake,
    metrics: Data<Metrics>,
) -> Result<HttpResponse, Error> {
    let (listener, cursor) = handshake.admit_to_stream(&req, query).await?;
    if is_head {
        // Only a GET upgrades (RFC 6455 section 4.1).
        return Err(Code::UpgradeRequired.into());
    }
    extract::refuse_declared_body(req.headers())?;
    let mut upgraded = upgrade(&req)?;
    let (driver, quota) = handshake.open(listener, cursor, |session| session).await?;
    let socket = Socket {
        connection: ClientConnection::of(&req).cloned(),
        driver,
        reader: WsReader::new(payload),
        metrics,
        handled: 0,
        closed: false,
    };
    let response = upgraded.message_body(BoxBody::new(socket));
    let mut response = HttpResponse::from(response.map_err(|_| Code::Internal)?);
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    Ok(response)
}

/// The response that accepts a WebSocket.
fn upgrade(req: &HttpRequest) -> Result<ResponseBuilder, Error> {
    if req.version() < Version::HTTP_11 {
        return Err(Code::UpgradeRequired.into());
    }
    let offered: Vec<_> = handshake::protocols(req.headers()).collect();
    if !offered.is_empty() && !offered.contains(&PROTOCOL) {
        let why = "the only supported subprotocol is duologue.v1";
        let pointer = "/header/sec-websocket-protocol";
        return Err(Error::field(Code::InvalidRequest, pointer, why));
    }
    let mut response = ws::handshake(req.head()).map_err(|why| match why {
        HandshakeError::BadWebsocketKey => {
            let why = "must be 16 bytes in Base64 (RFC 6455 section 4.1)";
            Error::field(Code::InvalidRequest, "/header/sec-websocket-key", why)
        }
        _ => Code::UpgradeRequired.into(),
    })?;
    if !offered.is_empty() {
        response.insert_header((SEC_WEBSOCKET_PROTOCOL, PROTOCOL));
    }
    Ok(response)
}

/// An open WebSocket, as a response body without a length. It is polled only while the client accepts data, so
/// only the bounded queue fills up for a slow client.
struct Socket {
    connection: Option<Rc<ClientConnection>>,
    driver: ConnectionDriver,
    reader: WsReader,
    metrics: Data<Metrics>,
    /// Messages of the client that were handled in this turn.
    handled: u8,
    closed: bool,
}

impl MessageBody for Socket {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.closed {
            if let Some(connection) = &this.connection {
                connection.half_close();
            }
            return Poll::Ready(None);
        }
        loop {
            if let Poll::Ready(outgoing) = this.driver.poll(cx) {
                return Poll::Ready(this.message(outgoing).map(|message| Ok(encode(message))));
            }
            if this.driver.is_executing() {
                this.handled = 0;
                return Poll::Pending;
            }
            if this.handled == MESSAGES_PER_TURN {
                this.handled = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Poll::Ready(received) = this.reader.poll(cx) else {
                this.handled = 0;
                return Poll::Pending;
            };
            this.handled += 1;
            let answer = match received {
                Some(Ok(message)) => this.handle(message),
                Some(Err(reason)) => this.message(Outgoing::Close(reason)),
                None => return Poll::Ready(None),
            };
            if let Some(answer) = answer {
                return Poll::Ready(Some(Ok(encode(answer))));
            }
        }
    }
}

impl Socket {
    /// Handles a message of the client; returns what to send at once.
    fn handle(&mut self, message: WsMessage) -> Option<Message> {
        match message {
            WsMessage::Text(text) => self.driver.handle(Input::Text(text)),
            WsMessage::Ping(payload) => {
                self.driver.handle(Input::Activity);
                return Some(Message::Pong(payload));
            }
            WsMessage::Pong => self.driver.handle(Input::Activity),
            WsMessage::Close(code) => {
                self.closed = true;
                let code = code.unwrap_or(CloseReason::ClientClosed.code());
                return Some(Message::Close(Some(CloseCode::from(code).into())));
            }
        }
        None
    }

    /// The WebSocket message to send; `None` if the connection ends without a close frame.
    fn message(&mut self, outgoing: Outgoing) -> Option<Message> {
        match outgoing {
            Outgoing::Event(event) => Some(Message::Text(event.json().into())),
            Outgoing::RoomEvent(event) => Some(Message::Text(event.json().into())),
            Outgoing::Message { json, .. } => Some(Message::Text(json.into())),
            Outgoing::Unwatched(room, error) => {
                let problem = log_refusal(&error, &self.metrics);
                let message = RoomEvent::unwatched(room, problem);
                Some(Message::Text(message.to_json().into()))
            }
            Outgoing::Refusal(reference, error) => {
                let problem = log_refusal(&error, &self.metrics);
                let message = ServerMessage::Error { reference, problem };
                Some(Message::Text(message.to_json().into()))
            }
            Outgoing::Ping => Some(Message::Ping(Bytes::new())),
            Outgoing::Close(reason) => {
                self.closed = true;
                if reason == CloseReason::SlowConsumer {
                    self.metrics.slow_consumers.inc();
                }
                close_frame(reason).map(|frame| Message::Close(Some(frame)))
            }
        }
    }
}

/// Counts and logs the refusal of a command; returns its problem document. A client can cause many refusals with a
/// 4xx code, so these are logged at the level of successful requests.
fn log_refusal(error: &Error, metrics: &Metrics) -> Problem {
    let id = fresh_id(Utc::now()).to_string();
    let (status, code) = (error.code.status(), error.code.word());
    let (request_id, route) = (id.as_str(), "/ws");
    metrics.error(code);
    if status < 500 {
        tracing::debug!(request_id, route, status, code, "refused");
    } else {
        let detail = &*error.detail;
        tracing::error!(request_id, route, status, code, detail, "failed");
    }
    problem::document(error, error.status_code(), &id)
}

/// The close frame of a reason; `None` for code 1006, which is never sent (RFC 6455 section 7.4.1).
fn close_frame(reason: CloseReason) -> Option<ws::CloseReason> {
    let code = CloseCode::from(reason.code());
    (reason != CloseReason::Unresponsive).then(|| (code, reason.reason()).into())
}

fn encode(message: Message) -> Bytes {
    let mut frame = BytesMut::new();
    // Encoding to memory fails only for continuation frames, and there are none.
    let _ = Codec::new().encode(message, &mut frame);
    frame.freeze()
}
