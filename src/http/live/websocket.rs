//! `/ws`: the stream of a user over a WebSocket (RFC 6455), and what its devices say.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ResponseBuilder;
use actix_http::ws::{self, CloseCode, Codec, Message};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;
use tokio_util::codec::Encoder;
use utoipa::IntoParams;

use super::driver::ConnectionDriver;
use super::handshake;
use super::handshake::Handshake;
use super::ws_messages::{Incoming, WsMessage};
use crate::error::{Code, Error};
use crate::http::extract::QueryParams;
use crate::http::middleware::authenticate;
use crate::http::problem;
use crate::metrics::Metrics;
use crate::model::{UserId, fresh_id};
use crate::protocol::CloseReason;
use crate::protocol::Cursor;
use crate::realtime::{Input, ServerMessage};

/// What this service speaks on a WebSocket.
const PROTOCOL: &str = "duologue.v1";

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
    entrance: Handshake,
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
    let mut upgraded = upgrade(&req)?;
    let (line, quota) = entrance.open(listener, cursor, |session| session).await?;
    let socket = Socket {
        line,
        incoming: Incoming::new(payload),
        metrics,
        left: false,
    };
    let response = upgraded.message_body(BoxBody::new(socket));
    let mut response = HttpResponse::from(response.map_err(|_| Code::Internal)?);
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    Ok(response)
}

/// The answer to a request that asks for a WebSocket.
fn upgrade(req: &HttpRequest) -> Result<ResponseBuilder, Error> {
    let offered: Vec<_> = handshake::protocols(req.headers()).collect();
    if !offered.is_empty() && !offered.contains(&PROTOCOL) {
        let why = "none of these subprotocols is spoken here, only duologue.v1";
        let pointer = "/header/sec-websocket-protocol";
        return Err(Error::field(Code::InvalidRequest, pointer, why));
    }
    let mut response = ws::handshake(req.head()).map_err(|_| Code::UpgradeRequired)?;
    if !offered.is_empty() {
        response.insert_header((SEC_WEBSOCKET_PROTOCOL, PROTOCOL));
    }
    Ok(response)
}

/// An open WebSocket: a body that never ends by itself. It is polled only when there is room for
/// more on the way to the client, so nothing piles up behind it but the bounded queue.
struct Socket {
    line: ConnectionDriver,
    incoming: Incoming,
    metrics: Data<Metrics>,
    left: bool,
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
            let answer = match ready!(this.incoming.poll(cx)) {
                Some(Ok(said)) => this.heard(said),
                Some(Err(why)) => this.frame(ServerMessage::Leave(why)),
                None => return Poll::Ready(None),
            };
            if let Some(answer) = answer {
                return Poll::Ready(Some(Ok(encode(answer))));
            }
        }
    }
}

impl Socket {
    /// Takes a message of the client; answers what is to be said at once.
    fn heard(&mut self, said: WsMessage) -> Option<Message> {
        match said {
            WsMessage::Text(text) => self.line.take(Input::Text(text)),
            WsMessage::Ping(payload) => {
                self.line.take(Input::Sign);
                return Some(Message::Pong(payload));
            }
            WsMessage::Pong => self.line.take(Input::Sign),
            WsMessage::Close => return self.frame(ServerMessage::Leave(CloseReason::Asked)),
        }
        None
    }

    /// What is told, as a message; `None` if the connection ends without a word.
    fn frame(&mut self, tell: ServerMessage) -> Option<Message> {
        match tell {
            ServerMessage::Event(event) => Some(Message::Text(event.text().into())),
            ServerMessage::Say { text, .. } => Some(Message::Text(text.into())),
            ServerMessage::Refuse(re, error) => {
                let problem = refusal(&error);
                let re = re
                    .map(|re| format!(r#","ref":{}"#, json!(re)))
                    .unwrap_or_default();
                Some(Message::Text(
                    format!(r#"{{"type":"error"{re},"problem":{problem}}}"#).into(),
                ))
            }
            ServerMessage::Ping => Some(Message::Ping(Bytes::new())),
            ServerMessage::Leave(why) => {
                self.left = true;
                if why == CloseReason::SlowConsumer {
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
fn close(why: CloseReason) -> Option<ws::CloseReason> {
    let code = match why {
        CloseReason::Restart => CloseCode::Restart,
        CloseReason::TokenExpired => CloseCode::Other(4401),
        CloseReason::SlowConsumer => CloseCode::Other(4408),
        CloseReason::Binary => CloseCode::Unsupported,
        CloseReason::TooLarge => CloseCode::Size,
        CloseReason::Garbage => CloseCode::Protocol,
        CloseReason::Asked => CloseCode::Normal,
        CloseReason::Silent => return None,
    };
    Some((code, why.word()).into())
}

fn encode(message: Message) -> Bytes {
    let mut frame = BytesMut::new();
    // Encoding into memory fails only for continuations out of order, of which there are none.
    let _ = Codec::new().encode(message, &mut frame);
    frame.freeze()
}
