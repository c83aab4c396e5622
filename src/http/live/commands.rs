//! The commands of a WebSocket client. Each is an adapter of an operation that HTTP also offers.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::web::Data;

use crate::auth::{Authenticator, Caller};
use crate::error::{Code, Error};
use crate::model::{IdempotencyKey, MessageInput, Participants, Peer, RoomName, UserId};
use crate::operations::Operations;
use crate::protocol::{Command, Cursor, RawEventPage, RoomEventPage};
use crate::realtime::CommandResult;

/// Executes the commands of one connection.
#[derive(Clone)]
pub struct Commands(Arc<CommandContext>);

/// The sender of the commands, and what their execution depends on.
pub struct CommandContext {
    pub caller: Caller,
    /// The user for whom the caller connected.
    pub user: UserId,
    pub operations: Data<Operations>,
    /// Verifies new tokens.
    pub authenticator: Data<Authenticator>,
    /// The address that is charged for rejected tokens.
    pub address: Option<IpAddr>,
}

impl From<CommandContext> for Commands {
    fn from(context: CommandContext) -> Self {
        Self(Arc::new(context))
    }
}

impl Commands {
    pub async fn perform(self, command: Command) -> Result<CommandResult, Error> {
        let CommandContext {
            caller, operations, ..
        } = &*self.0;
        match command {
            Command::Send(outgoing) => self.send(outgoing.message, outgoing.idempotency_key).await,
            Command::Read(receipt) => {
                let users = self.participants(receipt.peer)?;
                let private = receipt.private.unwrap_or_default();
                let state = operations.mark_read(caller, &users, receipt.seq, private);
                let state = state.await?;
                Ok(CommandResult::Marked(state.value.to_json()))
            }
            Command::Delivered(receipt) => {
                let users = self.participants(receipt.peer)?;
                let state = operations
                    .mark_delivered(caller, &users, receipt.seq)
                    .await?;
                Ok(CommandResult::Marked(state.value.to_json()))
            }
            Command::Typing { peer } => {
                let users = self.participants(peer)?;
                operations.announce_typing(caller, &users).await?;
                Ok(CommandResult::Done)
            }
            // The session executes the others itself.
            Command::Ping {} | Command::Watch { .. } | Command::Unwatch { .. } => {
                Ok(CommandResult::Done)
            }
            Command::Token { token } => self.renew(&token).await,
        }
    }

    /// Returns the events of a room after a cursor, if the user may watch it; without a cursor only its end.
    pub async fn watch(
        self,
        room: &RoomName,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<RoomEventPage, Error> {
        let CommandContext {
            caller,
            user,
            operations,
            ..
        } = &*self.0;
        let page = operations.watch_room(caller, user, room, after, limit);
        Ok(page.await?.value)
    }

    /// Returns more events of a room that the connection watches.
    pub async fn resume_watch(
        self,
        room: &RoomName,
        after: Cursor,
        limit: u16,
    ) -> Result<RoomEventPage, Error> {
        let CommandContext {
            caller,
            user,
            operations,
            ..
        } = &*self.0;
        operations
            .resume_watch(caller, user, room, after, limit)
            .await
    }

    /// Returns the events of the user after a cursor.
    pub async fn resume(self, after: Cursor, limit: u16) -> Result<RawEventPage, Error> {
        let CommandContext {
            caller,
            user,
            operations,
            ..
        } = &*self.0;
        operations.resume_stream(caller, user, after, limit).await
    }

    /// Sends as the user of the connection, also for a backend.
    async fn send(
        &self,
        mut message: MessageInput,
        key: Option<IdempotencyKey>,
    ) -> Result<CommandResult, Error> {
        let CommandContext {
            caller,
            user,
            operations,
            ..
        } = &*self.0;
        let named = message.from.replace(user.clone());
        if named.is_some_and(|from| &from != user) {
            return Err(Code::Forbidden.into());
        }
        let sent = operations.send_message(caller, message, key.as_ref()).await;
        let sent = sent.map_err(|error| {
            // A command has no headers; its key is a member.
            error.with_pointer("/header/idempotency-key", "/idempotency_key")
        })?;
        Ok(CommandResult::Sent {
            message: sent.value.message.0,
            replayed: sent.value.replayed,
        })
    }

    /// Extends the connection until another token of the same user expires.
    async fn renew(&self, token: &str) -> Result<CommandResult, Error> {
        let CommandContext {
            user,
            operations,
            authenticator,
            address,
            ..
        } = &*self.0;
        let identity = match (authenticator.identify(token), address) {
            (Ok(identity), _) => identity,
            (Err(rejection), Some(address)) => {
                return Err(operations.charge_rejection(*address, rejection).await);
            }
            (Err(rejection), None) => return Err(rejection),
        };
        operations.authorize_listener(&identity.caller, Some(user.clone()))?;
        Ok(CommandResult::Renewed(identity.until))
    }

    fn participants(&self, peer: Peer) -> Result<Participants, Error> {
        Participants::new(self.0.user.clone(), peer)
            .map_err(|why| Error::field(Code::InvalidRequest, "/peer", why))
    }
}
