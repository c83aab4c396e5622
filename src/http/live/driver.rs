//! What drives a session: takes what happens to it from its queue and from the store, does what it
//! asks for, and leaves to the door what is to be told.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;

use super::commands::Commands;
use crate::error::Error;
use crate::protocol::Ref;
use crate::protocol::{Cursor, EventPage};
use crate::realtime::{CommandResult, ConnectionGuard, Input, Output, ServerMessage, Session};

/// Events that a session reads at once.
const PAGE: u16 = 200;
/// How long a session waits for a store that failed it.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Boxed, since most of the time there is none.
type Doing<T> = Option<Pin<Box<dyn Future<Output = T>>>>;

/// A session and what it needs.
pub struct ConnectionDriver {
    session: Session,
    seat: ConnectionGuard,
    commands: Commands,
    out: VecDeque<Output>,
    reading: Doing<Result<EventPage, Error>>,
    doing: Doing<(Option<Ref>, Result<CommandResult, Error>)>,
}

impl ConnectionDriver {
    /// Drives a session that was opened with what is in `out`.
    pub fn new(
        session: Session,
        out: VecDeque<Output>,
        seat: ConnectionGuard,
        commands: Commands,
    ) -> Self {
        Self {
            session,
            seat,
            commands,
            out,
            reading: None,
            doing: None,
        }
    }

    /// Whether something is being done for the client, who is not to be heard meanwhile.
    pub fn is_busy(&self) -> bool {
        self.doing.is_some()
    }

    /// Takes something that happened.
    pub fn take(&mut self, input: Input) {
        let now = Utc::now().timestamp();
        self.session.take(input, now, &mut self.out);
    }

    /// What is to be told next.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ServerMessage> {
        loop {
            while let Some(output) = self.out.pop_front() {
                if self.out.is_empty() {
                    // Most connections are idle; what a burst needed is not kept for them.
                    self.out = VecDeque::new();
                }
                match output {
                    Output::ServerMessage(tell) => return Poll::Ready(tell),
                    Output::Read(place) => self.reading = Some(self.read(place, Duration::ZERO)),
                    Output::ReadLater(place) => self.reading = Some(self.read(place, RETRY_DELAY)),
                    Output::Do(re, command) => {
                        let done = self.commands.clone().perform(command);
                        self.doing = Some(Box::pin(async { (re, done.await) }));
                    }
                    Output::Until(until) => self.seat.until(until),
                }
            }
            match self.happened(cx) {
                Poll::Ready(input) => self.take(input),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn happened(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Poll::Ready(notice) = self.seat.poll(cx) {
            return Poll::Ready(Input::Notification(notice));
        }
        if let Some(Poll::Ready(page)) = self.reading.as_mut().map(|r| r.as_mut().poll(cx)) {
            self.reading = None;
            return Poll::Ready(Input::Page(page));
        }
        if let Some(Poll::Ready((re, done))) = self.doing.as_mut().map(|d| d.as_mut().poll(cx)) {
            self.doing = None;
            return Poll::Ready(Input::Executed(re, done));
        }
        Poll::Pending
    }

    fn read(
        &self,
        place: Cursor,
        pause: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<EventPage, Error>>>> {
        let commands = self.commands.clone();
        Box::pin(async move {
            // Even none would wait for the next turn of the timer.
            if !pause.is_zero() {
                sleep(pause).await;
            }
            commands.resume(place, PAGE).await
        })
    }
}
