//! `duologue chat`: a terminal client for one conversation, with a user or in a room.
//!
//! [`session`] decides everything and does no I/O, so tests play events into it; this module
//! waits for events and carries out the effects.
//!
//! | module | content |
//! |---|---|
//! | [`session`] | the state machine; [`event`] has its inputs and outputs |
//! | `transcript` | displayed messages: each once, in order |
//! | `outgoing` | messages and receipts to be acknowledged |
//! | `connection_state` | liveness of the connection, number of failures |
//! | [`render`], `status` | what the user sees |
//! | [`socket`], `terminal` | network and terminal I/O |
//! | `room` | joining the room |

mod connection_state;
pub mod event;
mod outgoing;
pub mod render;
mod room;
pub mod session;
pub mod socket;
mod status;
mod terminal;
mod transcript;

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::cli::client::ApiClient;
use crate::model::{Peer, Seq, UserId};
use crate::protocol::{Cursor, Problem};
use event::{ClientEvent, Effect};
use session::ChatSession;
use socket::ChatSocket;
use terminal::Terminal;

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(15);

/// Why a chat ends, unless the user ends it.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error("--as and --with must be different users")]
    SameUser,
    #[error("cannot reach the service: {0}")]
    Unreachable(String),
    #[error("the service answered {}: {}", .0.status, render::sanitize(&.0.detail))]
    Rejected(Problem),
    #[error("you are no longer a member of the room")]
    LeftRoom,
    #[error("the token has expired; start again with a new one")]
    TokenExpired,
    #[error("the user is connected with too many other devices")]
    Replaced,
    #[error("messages not sent: {0}")]
    Unsent(usize),
    #[error("terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Runs the chat until the user ends the input. Joins the room first, if the peer is one.
pub async fn chat(client: ApiClient, user: &UserId, peer: &Peer) -> Result<(), ChatError> {
    match peer {
        Peer::User(other) if other == user => return Err(ChatError::SameUser),
        Peer::User(_) => (),
        Peer::Room(room) => room::join(&client, user, room).await?,
    }
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut runner = ChatRunner {
        client,
        user: user.clone(),
        peer: peer.clone(),
        terminal: Terminal::open(user.clone(), peer.clone())?,
        socket: None,
        request: Box::pin(pending()),
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        ticks,
    };
    let result = runner
        .run(ChatSession::new(user.clone(), peer.clone()))
        .await;
    runner.terminal.close();
    if let Some(socket) = runner.socket {
        socket.close().await;
    }
    result
}

/// A connection attempt or an HTTP request: the new connection, if any, and the event to report.
type ServiceRequest = Pin<Box<dyn Future<Output = (Option<ChatSocket>, ClientEvent)>>>;

/// Performs the I/O of a session.
struct ChatRunner {
    client: ApiClient,
    user: UserId,
    peer: Peer,
    terminal: Terminal,
    socket: Option<ChatSocket>,
    /// Pending forever if there is none. A new request replaces and cancels it.
    request: ServiceRequest,
    interrupt: Signal,
    terminate: Signal,
    ticks: Interval,
}

impl ChatRunner {
    async fn run(&mut self, mut session: ChatSession) -> Result<(), ChatError> {
        let mut effects = session.start();
        loop {
            let mut send_failure = None;
            for effect in effects {
                match effect {
                    Effect::Exit(result) => return result,
                    Effect::Send(message) => {
                        if let Some(socket) = &mut self.socket {
                            send_failure = socket.send(&message).await.err().or(send_failure);
                        }
                    }
                    Effect::Connect { cursor, failures } => {
                        self.socket = None;
                        self.request = self.connect(cursor, failures);
                    }
                    Effect::LoadHistory { after } => self.request = self.load_history(after),
                    Effect::Print(lines) => self.terminal.print(&lines)?,
                    Effect::PrintNotice(notice) => self.terminal.print_notice(&notice)?,
                    Effect::ShowStatus(status) => self.terminal.show_status(status)?,
                }
            }
            let event = match send_failure {
                Some(disconnected) => disconnected,
                None => self.next_event().await,
            };
            effects = session.handle(event);
        }
    }

    async fn next_event(&mut self) -> ClientEvent {
        let received = async {
            match &mut self.socket {
                Some(socket) => socket.receive().await,
                None => pending().await,
            }
        };
        tokio::select! {
            event = received => event,
            event = self.terminal.read_line() => event,
            _ = self.interrupt.recv() => ClientEvent::Quit,
            _ = self.terminate.recv() => ClientEvent::Quit,
            _ = self.ticks.tick() => ClientEvent::Tick,
            (socket, event) = &mut self.request => {
                self.request = Box::pin(pending());
                self.socket = socket.or(self.socket.take());
                event
            }
        }
    }

    fn connect(&self, cursor: Option<Cursor>, failures: u32) -> ServiceRequest {
        let (client, user) = (self.client.clone(), self.user.clone());
        Box::pin(async move {
            sleep(backoff(failures)).await;
            match ChatSocket::connect(&client, &user, cursor).await {
                Ok((socket, hello)) => (Some(socket), hello),
                Err(failure) => (None, failure),
            }
        })
    }

    fn load_history(&self, after: Option<Seq>) -> ServiceRequest {
        let client = self.client.clone();
        let (user, peer) = (self.user.clone(), self.peer.clone());
        Box::pin(async move {
            let event = socket::load_history(&client, &user, &peer, after).await;
            (None, event)
        })
    }
}

/// Exponential backoff. Half of it is random, so that clients that lost their connections together
/// do not reconnect together.
fn backoff(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let backoff = FIRST_BACKOFF
        .saturating_mul(1 << doublings.min(16))
        .min(MAX_BACKOFF);
    let random = getrandom::u32().unwrap_or_default();
    backoff / 2 + (backoff / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
