//! Drives a session: polls its notifications, its reads and the running command, and hands what is
//! to be sent to the WebSocket or the event stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;

use super::commands::Commands;
use crate::model::RoomName;
use crate::protocol::{Cursor, Reference};
use crate::realtime::{ConnectionGuard, Input, Outgoing, Output, Session};

/// Events that a session reads at once.
const PAGE: u16 = 200;
/// The pause before a session reads again from a store that failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What becomes an input of the session. Boxed, because an idle connection has none in progress.
type PendingInput = Pin<Box<dyn Future<Output = Input>>>;

/// A session and what it needs.
pub struct ConnectionDriver {
    session: Session,
    connection: ConnectionGuard,
    commands: Commands,
    out: VecDeque<Output>,
    reading: Option<PendingInput>,
    reading_room: Option<PendingInput>,
    executing: Option<PendingInput>,
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
            reading_room: None,
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
                if let Some(outgoing) = self.perform(output) {
                    return Poll::Ready(outgoing);
                }
            }
            match self.poll_input(cx) {
                Poll::Ready(input) => self.handle(input),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Does what the session asks for; returns what is to be sent.
    fn perform(&mut self, output: Output) -> Option<Outgoing> {
        let at_once = Duration::ZERO;
        match output {
            Output::Send(outgoing) => return Some(outgoing),
            Output::Read(cursor) => self.reading = Some(self.read(cursor, at_once)),
            Output::ReadLater(cursor) => self.reading = Some(self.read(cursor, RETRY_DELAY)),
            Output::ReadRoom(room, after) => {
                self.reading_room = Some(self.read_room(room, after, at_once));
            }
            Output::ReadRoomLater(room, after) => {
                self.reading_room = Some(self.read_room(room, after, RETRY_DELAY));
            }
            Output::Execute(reference, command) => {
                let result = self.commands.clone().perform(command);
                self.executing = Some(Box::pin(async { Input::Executed(reference, result.await) }));
            }
            Output::Watch(reference, room, after) => {
                self.executing = Some(self.watch(reference, room, after));
            }
            Output::Unwatch(room) => self.connection.unwatch(&room),
            Output::ExpireAt(expires_at) => self.connection.until(expires_at),
        }
        None
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Poll::Ready(notification) = self.connection.poll(cx) {
            return Poll::Ready(Input::Notification(notification));
        }
        for pending in [
            &mut self.reading,
            &mut self.reading_room,
            &mut self.executing,
        ] {
            if let Some(Poll::Ready(input)) = pending.as_mut().map(|p| p.as_mut().poll(cx)) {
                *pending = None;
                return Poll::Ready(input);
            }
        }
        Poll::Pending
    }

    fn read(&self, after: Cursor, pause: Duration) -> PendingInput {
        let commands = self.commands.clone();
        Box::pin(async move {
            wait(pause).await;
            Input::Page(commands.resume(after, PAGE).await)
        })
    }

    /// Receives the events of a room from now on, and reads those after a cursor.
    fn watch(
        &mut self,
        reference: Option<Reference>,
        room: RoomName,
        after: Option<Cursor>,
    ) -> PendingInput {
        let subscribed = self.connection.watch(&room);
        let commands = self.commands.clone();
        Box::pin(async move {
            let page = match subscribed.await {
                Ok(()) => commands.watch(&room, after, PAGE).await,
                Err(error) => Err(error),
            };
            Input::Watched(reference, room, page)
        })
    }

    fn read_room(&self, room: RoomName, after: Cursor, pause: Duration) -> PendingInput {
        let commands = self.commands.clone();
        Box::pin(async move {
            wait(pause).await;
            let page = commands.resume_watch(&room, after, PAGE).await;
            Input::RoomPage(room, after, page)
        })
    }
}

async fn wait(pause: Duration) {
    // A sleep of zero would still wait for the next turn of the timer.
    if !pause.is_zero() {
        sleep(pause).await;
    }
}
