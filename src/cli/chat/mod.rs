//! `duologue chat`: one end of a conversation, in a terminal.
//!
//! What happens is decided in [`session`], which does nothing itself and is tested by playing
//! happenings into it; this module waits for them and does what comes out.
//!
//! | module | what it is |
//! |---|---|
//! | [`session`] | the state machine; [`event`] has its inputs and outputs |
//! | [`transcript`] | what was shown: each message once, in order |
//! | [`outbox`], [`pending_request`] | what was said and is not answered yet |
//! | [`link`] | how good the connection is |
//! | [`frame`] | what goes over it |
//! | [`render`] | what is shown, as text |
//! | [`socket`], [`terminal`] | the only ones that wait for the world |

pub mod event;
pub mod frame;
pub mod link;
pub mod outbox;
pub mod pending_request;
pub mod render;
pub mod session;
pub mod socket;
pub mod terminal;
pub mod transcript;

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::cli::client::Service;
use event::{ClientEvent, Effect};
use frame::Problem;
use session::Session;
use socket::Socket;
use terminal::Terminal;

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The first pause, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Why a conversation broke off.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ChatError {
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    #[error("the service answered {}: {}", .0.status, render::safe(&.0.detail))]
    Refused(Problem),
    #[error("the token has expired; come back with a fresh one")]
    Expired,
    #[error("{0} of the lines that were typed did not get through")]
    Unsent(usize),
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Talks until nothing more is typed.
pub async fn chat(service: Service, me: &str, peer: &str) -> Result<(), ChatError> {
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut chat = Chat {
        users: [me.to_owned(), peer.to_owned()],
        service,
        terminal: Terminal::open(me, peer)?,
        socket: None,
        errand: Box::pin(pending()),
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        clock,
    };
    let outcome = chat.run(Session::new(me, peer)).await;
    chat.terminal.close();
    if let Some(socket) = chat.socket {
        socket.close().await;
    }
    outcome
}

/// Something that is asked of the service: a connection, if that was asked, and what happened.
type Errand = Pin<Box<dyn Future<Output = (Option<Socket>, ClientEvent)>>>;

/// A session in the world.
struct Chat {
    users: [String; 2],
    service: Service,
    terminal: Terminal,
    socket: Option<Socket>,
    errand: Errand,
    interrupt: Signal,
    terminate: Signal,
    clock: Interval,
}

impl Chat {
    async fn run(&mut self, mut session: Session) -> Result<(), ChatError> {
        let mut acts = session.begin();
        loop {
            let mut broken = None;
            for act in acts {
                match act {
                    Effect::End(end) => return end,
                    Effect::Say(frame) => {
                        if let Some(socket) = &mut self.socket {
                            broken = socket.say(&frame).await.err().or(broken);
                        }
                    }
                    other => self.perform(other)?,
                }
            }
            let happened = match broken {
                Some(lost) => lost,
                None => self.wait().await,
            };
            acts = session.take(happened);
        }
    }

    /// Does what takes no time.
    fn perform(&mut self, act: Effect) -> io::Result<()> {
        match act {
            Effect::Connect { cursor, failures } => {
                self.socket = None;
                self.errand = self.connect(cursor, failures);
            }
            Effect::Read(after) => self.errand = self.read(after),
            Effect::Show(lines) => self.terminal.show(&lines)?,
            Effect::Note(note) => self.terminal.note(&note)?,
            Effect::Status(status) => self.terminal.status(status)?,
            Effect::Say(_) | Effect::End(_) => (),
        }
        Ok(())
    }

    /// What happens next.
    async fn wait(&mut self) -> ClientEvent {
        let heard = async {
            match &mut self.socket {
                Some(socket) => socket.hear().await,
                None => pending().await,
            }
        };
        tokio::select! {
            happened = heard => happened,
            happened = self.terminal.typed() => happened,
            _ = self.interrupt.recv() => ClientEvent::Finished,
            _ = self.terminate.recv() => ClientEvent::Finished,
            _ = self.clock.tick() => ClientEvent::Second,
            (socket, happened) = &mut self.errand => {
                self.errand = Box::pin(pending());
                self.socket = socket.or(self.socket.take());
                happened
            }
        }
    }

    fn connect(&self, cursor: Option<String>, failures: u32) -> Errand {
        let (service, user) = (self.service.clone(), self.users[0].clone());
        Box::pin(async move {
            sleep(pause(failures)).await;
            match Socket::open(&service, &user, cursor.as_deref()).await {
                Ok((socket, hello)) => (Some(socket), hello),
                Err(happened) => (None, happened),
            }
        })
    }

    fn read(&self, after: Option<u64>) -> Errand {
        let (service, users) = (self.service.clone(), self.users.clone());
        Box::pin(async move {
            let page = socket::read(&service, users.each_ref().map(String::as_str), after);
            (None, page.await)
        })
    }
}

/// How long to wait after so many failures: twice as long each time, and half of it by chance, so
/// that those who were let go together do not come back together.
fn pause(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let pause = FIRST_PAUSE
        .saturating_mul(1 << doublings.min(16))
        .min(LONGEST_PAUSE);
    let chance = getrandom::u32().unwrap_or_default();
    pause / 2 + (pause / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}
