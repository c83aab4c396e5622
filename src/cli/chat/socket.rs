//! What is asked of the service: a WebSocket, and pages of the conversation.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Upgraded};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::event::ClientEvent;
use super::frame::{Frame, Page, Problem};
use crate::cli::client::Service;

/// How long anything that is asked may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Messages of the first page.
const RECENT: u8 = 20;

/// A WebSocket that was let in.
pub struct Upgrade {
    /// The subprotocol that the service chose.
    pub protocol: Option<String>,
    /// What frames go through.
    pub socket: WebSocketStream<Upgraded>,
}

/// Asks for a WebSocket; answers the response, if it is another.
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
    let meant = header("sec-websocket-accept") == Some(&*derive_accept_key(key.as_bytes()));
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || !meant {
        return Ok(Err(response));
    }
    let protocol = header("sec-websocket-protocol").map(str::to_owned);
    let stream = response.upgrade().await?;
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    Ok(Ok(Upgrade { protocol, socket }))
}

/// A connected WebSocket.
pub struct Socket(WebSocketStream<Upgraded>);

impl Socket {
    /// Connects behind a cursor and waits for the hello; or says what happened instead.
    pub async fn open(
        service: &Service,
        user: &str,
        cursor: Option<&str>,
    ) -> Result<(Self, ClientEvent), ClientEvent> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}"));
        let path = format!("/ws?user={user}{}", cursor.unwrap_or_default());
        let request = service.request(Method::GET, &path);
        let request = request.header("sec-websocket-protocol", "duologue.v1");
        let stream = match upgrade(request).await {
            Ok(Ok(upgraded)) => upgraded.socket,
            Ok(Err(response)) => return Err(ClientEvent::Refused(problem(response).await)),
            Err(error) => return Err(unreachable(error)),
        };
        let mut socket = Self(stream);
        match timeout(TIMEOUT, socket.hear()).await {
            Ok(hello @ ClientEvent::Said(_)) => Ok((socket, hello)),
            Ok(other) => Err(other),
            Err(_) => Err(ClientEvent::Lost(None, "no answer".to_owned())),
        }
    }

    /// What the service says next. May be given up at any time.
    pub async fn hear(&mut self) -> ClientEvent {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str::<Frame>(&text) {
                Ok(frame) => ClientEvent::Said(Box::new(frame)),
                Err(error) => ClientEvent::Lost(None, format!("not understood: {error}")),
            },
            Some(Ok(Message::Close(Some(frame)))) => {
                ClientEvent::Lost(Some(frame.code.into()), frame.reason.to_string())
            }
            Some(Ok(Message::Close(None))) | None => ClientEvent::Lost(None, "closed".to_owned()),
            // A pong is queued by itself, and leaves with the next look.
            Some(Ok(_)) => ClientEvent::Sign,
            Some(Err(error)) => ClientEvent::Lost(None, error.to_string()),
        }
    }

    /// Says something; says what happened, if it could not.
    pub async fn say(&mut self, frame: &Value) -> Result<(), ClientEvent> {
        match timeout(TIMEOUT, self.0.send(Message::text(frame.to_string()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ClientEvent::Lost(None, error.to_string())),
            Err(_) => Err(ClientEvent::Lost(None, "nothing gets through".to_owned())),
        }
    }

    /// Says goodbye, and waits a little for the answer.
    pub async fn close(mut self) {
        let goodbye = async {
            if self.0.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.0.next().await {}
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

/// Reads a page of the conversation, marking nothing: the newest messages, or those after one.
pub async fn read(service: &Service, [user, peer]: [&str; 2], after: Option<u64>) -> ClientEvent {
    let range = match after {
        Some(seq) => format!("after={seq}&limit=200"),
        None => format!("limit={RECENT}"),
    };
    let path = format!("/conversations/{user}/{peer}?peek=true&{range}");
    match service.request(Method::GET, &path).send().await {
        Ok(response) if response.status() == StatusCode::OK => match json::<Page>(response).await {
            Ok(page) => ClientEvent::Page(page),
            Err(error) => unreachable(error),
        },
        Ok(response) => ClientEvent::Refused(problem(response).await),
        Err(error) => unreachable(error),
    }
}

async fn json<T: DeserializeOwned>(response: Response) -> reqwest::Result<T> {
    response.json().await
}

/// What a response says that was not hoped for, whoever gave it.
async fn problem(response: Response) -> Problem {
    let status = response.status();
    json(response).await.unwrap_or_else(|_| Problem {
        status: status.as_u16(),
        detail: status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_owned(),
    })
}

fn unreachable(error: reqwest::Error) -> ClientEvent {
    // The URL is long, and the person gave it.
    let error = error.without_url();
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        why = error.to_string();
        cause = error.source();
    }
    ClientEvent::Lost(None, why)
}
