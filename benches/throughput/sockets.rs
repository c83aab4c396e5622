//! The clients of the live rows and of rooms: WebSockets, one per user, that answer pings and record events; and
//! senders, at a steady pace over persistent HTTP connections.
//!
//! All clients run on one thread and leave the other cores to the measured processes.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use duologue::protocol::{Event, MessageEvent, RoomEvent, ServerMessage};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Outcome;
use crate::messages::{number_of, numbered_body, send_request, user};

/// How long a handshake or a request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Number of concurrent handshakes.
const CONCURRENCY: usize = 64;
/// Number of connections over which messages are sent in turn.
const SENDERS: u32 = 50;

type Socket = WebSocketStream<TcpStream>;

/// Connected users, one WebSocket each.
pub struct Listeners {
    tasks: JoinSet<()>,
    received: Arc<Received>,
}

/// What all listeners have received.
#[derive(Default)]
struct Received {
    /// Message events of all listeners, senders included.
    events: AtomicU32,
    /// The number of each message that its recipient received, and when.
    arrivals: Mutex<Vec<(u32, Instant)>>,
}

impl Listeners {
    /// Connects this many users and waits until each has received `hello`.
    pub async fn connect(address: &str, users: u32) -> Outcome<Self> {
        Self::start(address, 0..users, async |_| Ok(()), listen).await
    }

    /// Connects some users and lets each watch a room.
    pub async fn watch(address: &str, room: &str, users: Range<u32>) -> Outcome<Self> {
        let watch = async |socket: &mut Socket| timeout(TIMEOUT, watch(socket, room)).await?;
        let listen = |_, socket, received| listen_to_room(socket, received);
        Self::start(address, users, watch, listen).await
    }

    async fn start<F: Future<Output = ()> + Send + 'static>(
        address: &str,
        users: Range<u32>,
        prepare: impl AsyncFn(&mut Socket) -> Outcome<()>,
        listen: impl Fn(String, Socket, Arc<Received>) -> F,
    ) -> Outcome<Self> {
        let received = Arc::new(Received::default());
        let connected = stream::iter(users.map(user)).map(async |user| {
            let connecting = timeout(TIMEOUT, connect(address, &user));
            let mut socket = connecting.await.map_err(|_| "no hello in time")??;
            prepare(&mut socket).await?;
            Ok((user, socket)) as Outcome<_>
        });
        let mut connected = std::pin::pin!(connected.buffer_unordered(CONCURRENCY));
        let mut tasks = JoinSet::new();
        while let Some((user, socket)) = connected.try_next().await? {
            tasks.spawn(listen(user, socket, received.clone()));
        }
        Ok(Self { tasks, received })
    }

    /// Number of message events so far.
    pub fn events(&self) -> u32 {
        self.received.events.load(Ordering::Relaxed)
    }

    /// Fails if a connection was closed.
    pub fn check(&mut self) -> Outcome<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(_) => Err("the service closed a connection".into()),
        }
    }

    /// Takes what was received since the last call: the number of events, and the number and time of
    /// each message that its recipient received.
    pub fn take_received(&self) -> (u32, Vec<(u32, Instant)>) {
        let arrivals = self.received.arrivals.lock();
        let mut arrivals = arrivals.unwrap_or_else(PoisonError::into_inner);
        let events = self.received.events.swap(0, Ordering::Relaxed);
        (events, std::mem::take(&mut arrivals))
    }

    /// Closes all connections without a close frame.
    pub async fn disconnect(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn connect(address: &str, user: &str) -> Outcome<Socket> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // The default of 128 KiB is too much for 20,000 connections.
    let config = WebSocketConfig::default().read_buffer_size(1024);
    let url = format!("ws://{address}/ws?user={user}");
    let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await?;
    match socket.next().await.ok_or("no hello")?.map(parse)? {
        Some(ServerMessage::Hello { .. }) => Ok(socket),
        other => Err(format!("expected a hello, received {other:?}").into()),
    }
}

fn parse(message: Message) -> Option<ServerMessage> {
    let text = message.into_text().ok()?;
    serde_json::from_str(&text).ok()
}

/// Records events until the connection closes. The library answers pings when it is polled.
async fn listen(user: String, mut socket: Socket, received: Arc<Received>) {
    while let Some(Ok(message)) = socket.next().await {
        let now = Instant::now();
        let Some(ServerMessage::Event(Event::MessageCreated(event))) = parse(message) else {
            continue;
        };
        let MessageEvent { message, .. } = *event;
        let Some(number) = number_of(message.body.as_str()) else {
            continue;
        };
        received.events.fetch_add(1, Ordering::Relaxed);
        if message.to.as_str() == user {
            let arrivals = received.arrivals.lock();
            let mut arrivals = arrivals.unwrap_or_else(PoisonError::into_inner);
            arrivals.push((number, now));
        }
    }
}

/// Watches a room from now on.
async fn watch(socket: &mut Socket, room: &str) -> Outcome<()> {
    let command = json!({"type": "watch", "ref": "1", "room": room}).to_string();
    socket.send(Message::text(command)).await?;
    while let Some(message) = socket.next().await {
        if let Some(ServerMessage::Ack(_)) = parse(message?) {
            return Ok(());
        }
    }
    Err("no answer to a watch command".into())
}

/// Counts the messages of rooms until the connection closes.
async fn listen_to_room(mut socket: Socket, received: Arc<Received>) {
    while let Some(Ok(message)) = socket.next().await {
        let created = parse(message);
        if let Some(ServerMessage::RoomEvent(RoomEvent::MessageCreated(_))) = created {
            received.events.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An accepted message.
pub struct Sent {
    pub number: u32,
    /// When the request was written.
    pub requested: Instant,
    /// When the response was read.
    pub accepted: Instant,
}

/// Sends this many messages, one in each interval, between pairs of neighbours who take turns. Fails unless all are
/// accepted.
pub async fn send(
    address: &str,
    messages: u32,
    interval: Duration,
    users: u32,
) -> Outcome<Vec<Sent>> {
    let neighbours = |number| {
        let from = number % users;
        (user(from), user(from ^ 1))
    };
    send_each(address, messages, interval, neighbours).await
}

/// Sends this many messages, one in each interval, from and to whom `participants` returns for its number. Fails
/// unless all are accepted.
pub async fn send_each(
    address: &str,
    messages: u32,
    interval: Duration,
    participants: impl Fn(u32) -> (String, String),
) -> Outcome<Vec<Sent>> {
    let participants = &participants;
    let begin = Instant::now();
    let senders = (0..SENDERS).map(async |sender| {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut sent = Vec::new();
        for number in (sender..messages).step_by(SENDERS as usize) {
            sleep_until((begin + interval * number).into()).await;
            let ((from, to), body) = (participants(number), numbered_body(number));
            let request = send_request(address, &from, &to, &body);
            let requested = Instant::now();
            timeout(TIMEOUT, exchange(&mut stream, &request)).await??;
            sent.push(Sent {
                number,
                requested,
                accepted: Instant::now(),
            });
        }
        Ok(sent) as Outcome<_>
    });
    let sent = futures_util::future::try_join_all(senders).await?;
    Ok(sent.into_iter().flatten().collect())
}

/// Sends a request with a JSON body over a connection of its own; returns the body of the response.
pub async fn request(address: &str, method: &str, path: &str, json: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address).await?;
    request_over(&mut stream, address, method, path, json).await
}

/// The same over a connection that further requests can use.
pub async fn request_over(
    stream: &mut TcpStream,
    address: &str,
    method: &str,
    path: &str,
    json: &str,
) -> Outcome<String> {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    let body = match json.len() {
        0 => "\r\n".to_owned(),
        length => {
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}")
        }
    };
    let response = timeout(TIMEOUT, exchange(stream, &(head + &body))).await??;
    let (_, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    Ok(body.to_owned())
}

/// Sends a request and reads its response, which must be a success.
async fn exchange(stream: &mut TcpStream, request: &str) -> Outcome<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    while !is_complete(&response) {
        if stream.read_buf(&mut response).await? == 0 {
            return Err("the service closed the connection of a sender".into());
        }
    }
    let response = String::from_utf8_lossy(&response).into_owned();
    if response.starts_with("HTTP/1.1 20") {
        return Ok(response);
    }
    Err(format!("a request failed: {response}").into())
}

/// Whether a response is complete, by its `Content-Length`.
fn is_complete(response: &[u8]) -> bool {
    let complete = || {
        let text = std::str::from_utf8(response).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
        Some(body.len() >= length.1.parse::<usize>().ok()?)
    };
    complete().unwrap_or(false)
}
