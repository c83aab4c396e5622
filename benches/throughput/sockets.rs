//! Users of this process: WebSockets, each of a user of its own, that answer pings and note what
//! they hear; and those who send, at a steady pace over HTTP connections that are kept.
//!
//! All of it runs on one thread, so that it takes as little as it can from what is measured.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Outcome;

/// How long one thing that is asked of the service may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Handshakes under way at once.
const CONCURRENCY: usize = 64;
/// Connections over which messages are sent, in turn.
const LANES: u32 = 50;
/// Bytes of a body.
const BODY: usize = 100;

/// The name of a user.
pub fn user(number: u32) -> String {
    format!("user{number:05}")
}

/// Users who are connected, each once.
pub struct Crowd {
    listening: JoinSet<()>,
    heard: Arc<Heard>,
}

/// What they heard.
#[derive(Default)]
struct Heard {
    /// Messages that anybody was told of, the sender's own device included.
    events: AtomicU32,
    /// Which message reached the one it was sent to, and when.
    arrivals: Mutex<Vec<(u32, Instant)>>,
}

impl Crowd {
    /// Connects so many users and waits until the service greeted each of them.
    pub async fn connect(address: &str, users: u32) -> Outcome<Self> {
        let heard = Arc::new(Heard::default());
        let greeted = stream::iter((0..users).map(user)).map(async |user| {
            let connecting = timeout(TIMEOUT, connect(address, &user));
            let socket = connecting.await.map_err(|_| "no greeting in time")?;
            Ok((user, socket?)) as Outcome<_>
        });
        let mut greeted = std::pin::pin!(greeted.buffer_unordered(CONCURRENCY));
        let mut listening = JoinSet::new();
        while let Some((user, socket)) = greeted.try_next().await? {
            listening.spawn(listen(user, socket, heard.clone()));
        }
        Ok(Self { listening, heard })
    }

    /// Fails if one of them was let go.
    pub fn check(&mut self) -> Outcome<()> {
        match self.listening.try_join_next() {
            None => Ok(()),
            Some(_) => Err("the service let go of a connection".into()),
        }
    }

    /// What was heard since this was asked last: the number of events, and which messages reached
    /// the one they were sent to, and when.
    pub fn heard(&self) -> (u32, Vec<(u32, Instant)>) {
        let arrivals = self.heard.arrivals.lock();
        let mut arrivals = arrivals.unwrap_or_else(PoisonError::into_inner);
        let events = self.heard.events.swap(0, Ordering::Relaxed);
        (events, std::mem::take(&mut arrivals))
    }

    /// Goes, without a word.
    pub async fn leave(mut self) {
        self.listening.shutdown().await;
    }
}

async fn connect(address: &str, user: &str) -> Outcome<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // By default each would have 128 KiB.
    let config = WebSocketConfig::default().read_buffer_size(1024);
    let url = format!("ws://{address}/ws?user={user}");
    let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await?;
    match socket.next().await {
        Some(Ok(Message::Text(hello))) if hello.contains(r#""type":"hello""#) => Ok(socket),
        other => Err(format!("instead of a hello came {other:?}").into()),
    }
}

/// Hears until the service lets go. A pong is queued by itself and leaves with the next look.
async fn listen(user: String, mut socket: WebSocketStream<TcpStream>, heard: Arc<Heard>) {
    let to_me = format!(r#""to":"{user}""#);
    while let Some(Ok(message)) = socket.next().await {
        let now = Instant::now();
        let Message::Text(text) = message else {
            continue;
        };
        let Some(number) = number(&text) else {
            continue;
        };
        heard.events.fetch_add(1, Ordering::Relaxed);
        if text.contains(&to_me) {
            let arrivals = heard.arrivals.lock();
            let mut arrivals = arrivals.unwrap_or_else(PoisonError::into_inner);
            arrivals.push((number, now));
        }
    }
}

/// The number of the message that an event is of; none if it is of something else.
fn number(event: &str) -> Option<u32> {
    let (_, body) = event.split_once(r#""body":""#)?;
    body.split('x').next()?.parse().ok()
}

/// A message that was accepted.
pub struct Sent {
    pub number: u32,
    /// When the request was written.
    pub requested: Instant,
    /// When the answer was read.
    pub accepted: Instant,
}

/// Sends so many messages, one a millisecond: between two neighbours, who take turns, of so many
/// users. Every one must be accepted.
pub async fn send(address: &str, messages: u32, users: u32) -> Outcome<Vec<Sent>> {
    let begin = Instant::now();
    let lanes = (0..LANES).map(async |lane| {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut sent = Vec::new();
        for number in (lane..messages).step_by(LANES as usize) {
            let due = begin + Duration::from_millis(number.into());
            sleep_until(due.into()).await;
            let from = number % users;
            let request = request(address, number, &user(from), &user(from ^ 1));
            let requested = Instant::now();
            timeout(TIMEOUT, post(&mut stream, &request)).await??;
            sent.push(Sent {
                number,
                requested,
                accepted: Instant::now(),
            });
        }
        Ok(sent) as Outcome<_>
    });
    let sent = futures_util::future::try_join_all(lanes).await?;
    Ok(sent.into_iter().flatten().collect())
}

fn request(address: &str, number: u32, from: &str, to: &str) -> String {
    let body = format!("{number:x<BODY$}");
    let json = format!(r#"{{"from":"{from}","to":"{to}","body":"{body}"}}"#);
    format!(
        "POST /messages HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
}

/// Sends a request and reads the whole answer.
async fn post(stream: &mut TcpStream, request: &str) -> Outcome<()> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !is_whole(&answer) {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the service hung up on a sender".into());
        }
    }
    if answer.starts_with(b"HTTP/1.1 201 ") {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer);
    Err(format!("a message was answered with {answer}").into())
}

/// Whether an answer has come to its end, which its `Content-Length` tells.
fn is_whole(answer: &[u8]) -> bool {
    let whole = || {
        let text = std::str::from_utf8(answer).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
        Some(body.len() >= length.1.parse::<usize>().ok()?)
    };
    whole().unwrap_or(false)
}
