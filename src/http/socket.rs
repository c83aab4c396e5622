//! `/ws`: the stream of a user over a WebSocket (RFC 6455), and what its devices say.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_http::ws::{CloseCode, CloseReason, Codec, Message, ProtocolError};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, get};
use actix_ws::{AggregatedMessage, AggregatedMessageStream};
use chrono::Utc;
use futures_util::Stream;
use serde::Deserialize;
use serde_json::json;
use tokio_util::codec::Encoder;
use utoipa::IntoParams;

use super::access;
use super::entrance::{self, Entrance};
use super::extract::QueryParams;
use super::line::Line;
use super::problem;
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::{Cursor, UserId, fresh_id};
use crate::realtime::{Farewell, Input, Tell};

/// What this service speaks on a WebSocket.
const PROTOCOL: &str = "duologue.v1";
/// The largest message of a client, in bytes, in one frame or several.
const MAX_FRAME: usize = 64 * 1024;

/// Whose stream, from where: the query of `GET /ws`.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SocketQuery {
    /// Whose stream; to be named by a backend, and where the service is open.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._~@-]{1,64}$")]
    user: Option<UserId>,
    /// The last cursor that the client has processed. Without it the stream starts now.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]{1,16}-[0-9]{1,16}~?$")]
    cursor: Option<Cursor>,
    /// A ticket instead of a credential, as of `POST /tickets`.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 128)]
    ticket: Option<String>,
}

problem::refusals!(OpenSocketErrors: CALL READ; UpgradeRequired, TooManyConnections, Busy);

/// Open a WebSocket
///
/// The stream of a user as it happens, resumed from `cursor`; and a way to send, to mark as read
/// and delivered, and to tell that the user is typing. Speaks the subprotocol `duologue.v1`, which
/// `docs/live.md` describes frame by frame. The credential is an `Authorization` header, a second
/// subprotocol `bearer.<token>`, or a ticket. A user listens to itself, a backend as anybody.
#[utoipa::path(
    tag = "live",
    security(("user_token" = []), ("service_key" = [])),
    params(SocketQuery),
    responses(
        (status = 101, description = "The protocol is switched; the first frame is `hello`."),
        OpenSocketErrors,
    )
)]
#[get("/ws")]
pub async fn open_socket(
    req: HttpRequest,
    payload: Payload,
    query: Result<QueryParams<SocketQuery>, Error>,
    entrance: Entrance,
    metrics: Data<Metrics>,
) -> Result<HttpResponse, Error> {
    // A ticket stands in the query; a query out of form has none.
    let ticket = query.as_ref().ok().and_then(|q| q.0.ticket.clone());
    let mut cursor = None;
    let user = || {
        let QueryParams(query) = query?;
        cursor = query.cursor;
        Ok(query.user)
    };
    let listener = entrance.admit(&req, ticket.as_deref(), user).await?;
    let upgraded = upgrade(&req, payload)?;
    let (line, quota) = entrance.open(listener, cursor, |session| session).await?;
    let mut response = upgraded.into_response(|incoming, handshake| Socket {
        line,
        incoming,
        metrics,
        left: false,
        _handshake: handshake,
    });
    access::announce(response.headers_mut(), quota);
    Ok(response)
}

/// A request that asked for a WebSocket and gets it.
struct Upgraded {
    response: HttpResponse,
    incoming: AggregatedMessageStream,
}

fn upgrade(req: &HttpRequest, payload: Payload) -> Result<Upgraded, Error> {
    let mut offers = entrance::protocols(req.headers()).peekable();
    if offers.peek().is_some() && !offers.any(|offer| offer == PROTOCOL) {
        let why = "none of these subprotocols is spoken here, only duologue.v1";
        let pointer = "/header/sec-websocket-protocol";
        return Err(Error::field(Code::InvalidRequest, pointer, why));
    }
    // The library's own session is not used: this service has a queue of its own for each
    // connection, whose bound can be told from the outside.
    let handled = actix_ws::handle_with_protocols(req, payload, &[PROTOCOL]);
    let (response, _, incoming) = handled.map_err(|_| Error::from(Code::UpgradeRequired))?;
    let incoming = incoming.max_frame_size(MAX_FRAME).aggregate_continuations();
    Ok(Upgraded {
        response,
        incoming: incoming.max_continuation_size(MAX_FRAME),
    })
}

impl Upgraded {
    fn into_response(
        self,
        socket: impl FnOnce(AggregatedMessageStream, BoxBody) -> Socket,
    ) -> HttpResponse {
        let Self { response, incoming } = self;
        response.map_body(|_, handshake| BoxBody::new(socket(incoming, handshake)))
    }
}

/// An open WebSocket: a body that never ends by itself. It is polled only when there is room for
/// more on the way to the client, so nothing piles up behind it but the bounded queue.
struct Socket {
    line: Line,
    incoming: AggregatedMessageStream,
    metrics: Data<Metrics>,
    left: bool,
    /// The library's own body, which ends `incoming` when it is dropped.
    _handshake: BoxBody,
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
        if this.left {
            return Poll::Ready(None);
        }
        loop {
            if let Poll::Ready(tell) = this.line.poll(cx) {
                return Poll::Ready(this.frame(tell).map(|message| Ok(encode(message))));
            }
            if this.line.is_busy() {
                return Poll::Pending;
            }
            match Pin::new(&mut this.incoming).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(answer) = this.heard(message) {
                        return Poll::Ready(Some(Ok(encode(answer))));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let why = match error {
                        ProtocolError::Overflow | ProtocolError::Io(_) => Farewell::TooLarge,
                        _ => Farewell::Garbage,
                    };
                    return Poll::Ready(this.frame(Tell::Leave(why)).map(|m| Ok(encode(m))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Socket {
    /// Takes a message of the client; answers what is to be said at once.
    fn heard(&mut self, message: AggregatedMessage) -> Option<Message> {
        match message {
            AggregatedMessage::Text(text) => self.line.take(Input::Text(text.into())),
            AggregatedMessage::Ping(payload) => {
                self.line.take(Input::Sign);
                return Some(Message::Pong(payload));
            }
            AggregatedMessage::Pong(_) => self.line.take(Input::Sign),
            AggregatedMessage::Binary(_) => return self.frame(Tell::Leave(Farewell::Binary)),
            AggregatedMessage::Close(_) => return self.frame(Tell::Leave(Farewell::Asked)),
        }
        None
    }

    /// What is told, as a message; `None` if the connection ends without a word.
    fn frame(&mut self, tell: Tell) -> Option<Message> {
        match tell {
            Tell::Event(event) => Some(Message::Text(event.text().into())),
            Tell::Say { text, .. } => Some(Message::Text(text.into())),
            Tell::Refuse(re, error) => {
                let problem = refusal(&error);
                let re = re
                    .map(|re| format!(r#","ref":{}"#, json!(re)))
                    .unwrap_or_default();
                Some(Message::Text(
                    format!(r#"{{"type":"error"{re},"problem":{problem}}}"#).into(),
                ))
            }
            Tell::Ping => Some(Message::Ping(Bytes::new())),
            Tell::Leave(why) => {
                self.left = true;
                if why == Farewell::SlowConsumer {
                    self.metrics.slow_consumers.inc();
                }
                close(why).map(|reason| Message::Close(Some(reason)))
            }
        }
    }
}

/// The problem document of a frame that was refused; logged once, like a request.
fn refusal(error: &Error) -> String {
    let id = fresh_id(Utc::now()).to_string();
    let (status, code) = (error.code.status(), error.code.word());
    if status < 500 {
        tracing::info!(request_id = id, route = "/ws", status, code, "refused");
    } else {
        let detail = &*error.detail;
        tracing::error!(
            request_id = id,
            route = "/ws",
            status,
            code,
            detail,
            "failed"
        );
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    problem::document(error, status, &id)
}

/// The close codes of `docs/live.md`; `None` where the client would not hear it.
fn close(why: Farewell) -> Option<CloseReason> {
    let (code, reason) = match why {
        Farewell::Restart => (CloseCode::Restart, "restart"),
        Farewell::TokenExpired => (CloseCode::Other(4401), "token_expired"),
        Farewell::SlowConsumer => (CloseCode::Other(4408), "slow_consumer"),
        Farewell::Binary => (CloseCode::Unsupported, "binary"),
        Farewell::TooLarge => (CloseCode::Size, "too_large"),
        Farewell::Garbage => (CloseCode::Protocol, "garbage"),
        Farewell::Asked => (CloseCode::Normal, ""),
        Farewell::Silent => return None,
    };
    Some((code, reason).into())
}

fn encode(message: Message) -> Bytes {
    let mut frame = BytesMut::new();
    // Encoding into memory fails only for continuations out of order, of which there are none.
    let _ = Codec::new().encode(message, &mut frame);
    frame.freeze()
}
