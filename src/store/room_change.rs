//! Changes of rooms. A script changes the room and appends what happened to its events. Whoever gets the lease of the
//! room files the events in the inboxes of the members next, in the background; see `filing.rs`.
//!
//! A change of one member's marks or settings also updates the row of that member: on one Redis in the same script,
//! on a cluster in a second step, as for the conversation of two users.

use redis::{FromRedisValue, ParsingError, Value};

use super::filing::MemberInbox;
use super::outbox::member_entry;
use super::script::{RetrySafety, Script};
use super::{RateLimited, Store};
use crate::error::Error;
use crate::model::{ConversationState, InboxEntry, Peer, RoomName, RoomSummary, UserId};
use crate::rate::RateLimitRequest;

/// The user and the room of a request, and the rate limit to charge.
#[derive(Clone, Copy)]
pub struct RoomRequest<'a> {
    /// The acting user.
    pub user: &'a UserId,
    pub room: &'a RoomName,
    /// The rate limit to charge, if any.
    pub charge: Option<&'a RateLimitRequest>,
}

/// What a script that changes a room replies.
struct RoomCommitted<T> {
    reply: T,
    /// Whether this process files the events of the room now.
    leads: bool,
    /// On a cluster, the update of the member's inbox, and the version that it has then.
    update: Option<(String, MemberUpdate)>,
}

/// How a member changed: the state of the room, the type of the event, and the record of the member.
type MemberUpdate = (String, String, Vec<u8>);

impl<T: FromRedisValue> FromRedisValue for RoomCommitted<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let reply = T::from_redis_value(next())?;
        let leads = u8::from_redis_value(next())? == 1;
        let version = Option::<String>::from_redis_value(next())?;
        let update = Option::<MemberUpdate>::from_redis_value(next())?;
        Ok(Self {
            reply,
            leads,
            update: version.zip(update),
        })
    }
}

/// The reply of a script that returns how a user sees a room: entry, newest message, metadata, profile, number of
/// members.
type StateReply = (String, String, String, String, u32);

impl Store {
    /// Runs a script that changes a room for everybody. `more_keys` follow those of the room, and `args` the argument
    /// `leader`.
    pub(super) async fn change_room<T: FromRedisValue>(
        &self,
        script: &'static Script,
        request: RoomRequest<'_>,
        more_keys: impl IntoIterator<Item = String>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let mut keys = self.keys.room(request.room).to_vec();
        keys.extend(more_keys);
        self.run_room_change(script, script.retry, request, keys, args)
            .await
    }

    /// Runs a script that changes one member of a room. `more_keys` follow those of the room and of the member, and
    /// `args` the argument `leader`.
    pub(super) async fn change_member<T: FromRedisValue>(
        &self,
        script: &'static Script,
        request: RoomRequest<'_>,
        more_keys: impl IntoIterator<Item = String>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let mut keys = self.keys.room(request.room).to_vec();
        if self.two_steps {
            // The outbox is in the place of each key of the member.
            let outbox = self.keys.outbox(request.room.as_str());
            keys.extend(std::iter::repeat_n(outbox, 3));
        } else {
            keys.extend(self.keys.user(request.user.as_str()));
        }
        keys.extend(more_keys);
        self.run_room_change(script, script.retry, request, keys, args)
            .await
    }

    /// Like [`Store::change_member`], for a script that returns how the member sees the room.
    pub(super) async fn change_member_state(
        &self,
        script: &'static Script,
        request: RoomRequest<'_>,
        more_keys: impl IntoIterator<Item = String>,
        args: &[&str],
    ) -> Result<RateLimited<ConversationState>, Error> {
        let changed = self.change_member::<StateReply>(script, request, more_keys, args);
        let room = request.room;
        Box::pin(changed)
            .await?
            .try_map(|(entry, last, metadata, profile, members)| {
                let peer = Peer::Room(room.clone());
                let state = InboxEntry::parse(&entry)?.into_state(peer, last, &metadata)?;
                Ok(ConversationState {
                    room: Some(RoomSummary::parse(&profile, members)?),
                    ..state
                })
            })
    }

    /// Runs a script that changes a room with all its keys, except that of the rate limit. `args` follow the
    /// arguments that all of these scripts have.
    pub(super) async fn run_room_change<T: FromRedisValue>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        request: RoomRequest<'_>,
        keys: Vec<String>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let RoomRequest { user, room, charge } = request;
        self.run_as(script, retry, (room, Some(user)), charge, keys, args)
            .await
    }

    /// Like [`Store::run_room_change`], also for nobody: a backend acts on a room, or the service itself.
    pub(super) async fn run_as<T: FromRedisValue>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        (room, user): (&RoomName, Option<&UserId>),
        charge: Option<&RateLimitRequest>,
        keys: Vec<String>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let (leader, retention) = (self.filings.leader(), self.retention.script_arg());
        let args = room_args(room, user, &retention, &leader, args);
        let changed = self.run_rate_limited(script, retry, charge, keys, args, None);
        let RateLimited { value, quota } = Box::pin(changed).await?;
        let value = self.complete_room_change(room, user, leader, value).await;
        Ok(RateLimited { value, quota })
    }

    /// Runs a script that sends with an empty bucket, which is the last of the keys, so that it only returns what was
    /// sent before.
    pub(super) async fn find_in_room<T: FromRedisValue>(
        &self,
        script: &'static Script,
        request: RoomRequest<'_>,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, Error> {
        let RoomRequest { user, room, .. } = request;
        let (leader, retention) = (self.filings.leader(), self.retention.script_arg());
        let mut args = room_args(room, Some(user), &retention, &leader, args);
        args.extend([b"1".as_slice(), b"0"]);
        let found = self.call(script, RetrySafety::Harmless, keys, &args);
        let (_, _, committed): (u32, u64, RoomCommitted<T>) = found.await?;
        let completed = self.complete_room_change(room, Some(user), leader, committed);
        Ok(completed.await)
    }

    /// What follows a change: the filing of its events, if this process got the lease, and the update of the member's
    /// inbox. Returns the reply of the script in any case.
    async fn complete_room_change<T>(
        &self,
        room: &RoomName,
        user: Option<&UserId>,
        leader: String,
        committed: RoomCommitted<T>,
    ) -> T {
        if committed.leads {
            self.filings.request(room.clone(), leader);
        }
        if let (Some((version, update)), Some(user)) = (committed.update, user) {
            Box::pin(self.update_member(room, user, version, update)).await;
        }
        committed.reply
    }

    /// The second step of a change of a member on a cluster. If it fails, it is repeated later.
    async fn update_member(
        &self,
        room: &RoomName,
        user: &UserId,
        version: String,
        (state, kind, record): MemberUpdate,
    ) {
        let inbox = MemberInbox {
            user: user.as_str().to_owned(),
            record,
        };
        let inboxes = [inbox];
        let updated = self.file_room_events(room, &state, &kind, &[], &inboxes);
        if updated.await.is_ok() {
            self.outbox.confirm(&member_entry(room, user), version);
        }
    }
}

/// The arguments of a script that changes a room: those that all of these scripts have, then its own.
fn room_args<'a>(
    room: &'a RoomName,
    user: Option<&'a UserId>,
    retention: &'a str,
    leader: &'a str,
    args: &[&'a str],
) -> Vec<&'a [u8]> {
    let acting = user.map_or("", UserId::as_str);
    let common = [room.as_str(), acting, retention, leader];
    let args = common.iter().chain(args);
    args.map(|arg| arg.as_bytes()).collect()
}
