//! Drives a session: polls its notifications, its reads and the running command, and hands what is
//! to be sent to the WebSocket or the event stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;

use super::commands::Commands;
use crate::error::Error;
use crate::protocol::{Cursor, RawEventPage, Reference};
use crate::realtime::{CommandResult, ConnectionGuard, Input, Outgoing, Output, Session};

/// Events that a session reads at once.
const PAGE: u16 = 200;
/// The pause before a session reads again from a store that failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A future in progress. Boxed, because an idle connection has none.
type Pending<T> = Option<Pin<Box<dyn Future<Output = T>>>>;

/// A session and what it needs.
pub struct ConnectionDriver {
    session: Session,
    connection: ConnectionGuard,
    commands: Commands,
    out: VecDeque<Output>,
    reading: Pending<Result<RawEventPage, Error>>,
    executing: Pending<(Option<Reference>, Result<CommandResult, Error>)>,
}

impl ConnectionDriver {
    /// A driver of a session whose first outputs are in `out`.
    pub fn new(
        session: Session,
        out: VecDeque<Output>,
        connection: ConnectionGuard,
        commands: Commands,
    ) -> Self {
        Self {
            session,
            connection,
            commands,
            out,
            reading: None,
            executing: None,
        }
    }

    /// Whether a command is executed. Until it is done, no message of the client is read.
    pub fn is_executing(&self) -> bool {
        self.executing.is_some()
    }

    /// Gives an input to the session.
    pub fn handle(&mut self, input: Input) {
        let now = Utc::now().timestamp();
        self.session.handle(input, now, &mut self.out);
    }

    /// Polls for the next thing to send.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        loop {
            while let Some(output) = self.out.pop_front() {
                if self.out.is_empty() {
                    // Most connections are idle and need no buffer, however large the last burst was.
                    self.out = VecDeque::new();
                }
                match output {
                    Output::Send(outgoing) => return Poll::Ready(outgoing),
                    Output::Read(cursor) => self.reading = Some(self.read(cursor, Duration::ZERO)),
                    Output::ReadLater(cursor) => {
                        self.reading = Some(self.read(cursor, RETRY_DELAY));
                    }
                    Output::Execute(reference, command) => {
                        let result = self.commands.clone().perform(command);
                        self.executing = Some(Box::pin(async { (reference, result.await) }));
                    }
                    Output::ExpireAt(expires_at) => self.connection.until(expires_at),
                }
            }
            match self.poll_input(cx) {
                Poll::Ready(input) => self.handle(input),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Poll::Ready(notification) = self.connection.poll(cx) {
            return Poll::Ready(Input::Notification(notification));
        }
        if let Some(Poll::Ready(page)) = self.reading.as_mut().map(|r| r.as_mut().poll(cx)) {
            self.reading = None;
            return Poll::Ready(Input::Page(page));
        }
        let executed = self.executing.as_mut().map(|e| e.as_mut().poll(cx));
        if let Some(Poll::Ready((reference, result))) = executed {
            self.executing = None;
            return Poll::Ready(Input::Executed(reference, result));
        }
        Poll::Pending
    }

    fn read(
        &self,
        after: Cursor,
        pause: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<RawEventPage, Error>>>> {
        let commands = self.commands.clone();
        Box::pin(async move {
            // A sleep of zero would still wait for the next turn of the timer.
            if !pause.is_zero() {
                sleep(pause).await;
            }
            commands.resume(after, PAGE).await
        })
    }
}
