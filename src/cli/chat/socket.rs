//! Requests to the service: the WebSocket, and pages of the conversation over HTTP.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Upgraded};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::event::ClientEvent;
use super::transcript::HistoryPage;
use crate::cli::client::ApiClient;
use crate::model::{Peer, Seq, UserId};
use crate::protocol::{ClientMessage, Cursor, Problem, ServerMessage};

/// Limit for each request, the handshake and each send.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Size of the first page.
const FIRST_PAGE: u8 = 20;

/// An accepted WebSocket.
pub struct Upgrade {
    /// The subprotocol that the service selected.
    pub protocol: Option<String>,
    pub socket: WebSocketStream<Upgraded>,
}

/// Requests a WebSocket. Returns the response if the service answers with anything else.
pub async fn upgrade(request: RequestBuilder) -> reqwest::Result<Result<Upgrade, Response>> {
    let key = generate_key();
    let response = request
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", &key)
        .send()
        .await?;
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let key_accepted = header("sec-websocket-accept") == Some(&*derive_accept_key(key.as_bytes()));
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || !key_accepted {
        return Ok(Err(response));
    }
    let protocol = header("sec-websocket-protocol").map(str::to_owned);
    let stream = response.upgrade().await?;
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    Ok(Ok(Upgrade { protocol, socket }))
}

/// The WebSocket of a chat.
pub struct ChatSocket(WebSocketStream<Upgraded>);

impl ChatSocket {
    /// Connects, resuming after `cursor`, and waits for `hello`. Returns the socket with the
    /// hello, or else the reason why there is none.
    pub async fn connect(
        client: &ApiClient,
        user: &UserId,
        cursor: Option<Cursor>,
    ) -> Result<(Self, ClientEvent), ClientEvent> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}"));
        let user: String = form_urlencoded::byte_serialize(user.as_str().as_bytes()).collect();
        let path = format!("/ws?user={user}{}", cursor.unwrap_or_default());
        let request = client.request(Method::GET, &path);
        let request = request.header("sec-websocket-protocol", "duologue.v1");
        let stream = match upgrade(request).await {
            Ok(Ok(upgrade)) => upgrade.socket,
            Ok(Err(response)) => return Err(ClientEvent::Rejected(problem(response).await)),
            Err(error) => return Err(unreachable(error)),
        };
        let mut socket = Self(stream);
        match timeout(TIMEOUT, socket.receive()).await {
            Ok(hello @ ClientEvent::MessageReceived(_)) => Ok((socket, hello)),
            Ok(other) => Err(other),
            Err(_) => Err(disconnected("the service does not respond")),
        }
    }

    /// Waits for the next message. Cancel safe.
    pub async fn receive(&mut self) -> ClientEvent {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str::<ServerMessage>(&text) {
                Ok(message) => ClientEvent::MessageReceived(Box::new(message)),
                Err(error) => disconnected(format!("unexpected message: {error}")),
            },
            Some(Ok(Message::Close(Some(frame)))) => ClientEvent::Disconnected {
                code: Some(frame.code.into()),
                reason: frame.reason.to_string(),
            },
            Some(Ok(Message::Close(None))) | None => {
                disconnected("the service closed the connection")
            }
            // The library answers a ping with the next read.
            Some(Ok(_)) => ClientEvent::Heartbeat,
            Some(Err(error)) => disconnected(error.to_string()),
        }
    }

    /// Sends a client message. The error is the event that reports it.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), ClientEvent> {
        match timeout(TIMEOUT, self.0.send(Message::text(message.to_json()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(disconnected(error.to_string())),
            Err(_) => Err(disconnected("sending timed out")),
        }
    }

    /// Performs the closing handshake, within a short time.
    pub async fn close(mut self) {
        let handshake = async {
            if self.0.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.0.next().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, handshake).await;
    }
}

/// Loads the messages after a `seq`, or the newest ones, without marking them as read.
pub async fn load_history(
    client: &ApiClient,
    user: &UserId,
    peer: &Peer,
    after: Option<Seq>,
) -> ClientEvent {
    let range = match after {
        Some(seq) => format!("after={}&limit=200", seq.get()),
        None => format!("limit={FIRST_PAGE}"),
    };
    let (user, peer) = (user.path_segment(), peer.path_segment());
    let path = format!("/conversations/{user}/{peer}?peek=true&unread_limit=0&{range}");
    match client.request(Method::GET, &path).send().await {
        Ok(response) if response.status() == StatusCode::OK => {
            match response.json::<HistoryPage>().await {
                Ok(page) => ClientEvent::HistoryLoaded(page),
                Err(error) => unreachable(error),
            }
        }
        Ok(response) => ClientEvent::Rejected(problem(response).await),
        Err(error) => unreachable(error),
    }
}

/// Reads an error response. One that is no problem document comes from a proxy in between.
pub(super) async fn problem(response: Response) -> Problem {
    let status = response.status();
    response.json().await.unwrap_or_else(|_| {
        let reason = status.canonical_reason().unwrap_or("no reason given");
        Problem {
            status: status.as_u16(),
            detail: reason.to_owned(),
            ..Problem::default()
        }
    })
}

fn disconnected(reason: impl Into<String>) -> ClientEvent {
    ClientEvent::Disconnected {
        code: None,
        reason: reason.into(),
    }
}

fn unreachable(error: reqwest::Error) -> ClientEvent {
    disconnected(cause(error))
}

/// The innermost cause is what helps the user ("Connection refused"), without the long URL.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
