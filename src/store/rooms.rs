//! Rooms and their members, stored in Redis.

use std::collections::HashSet;
use std::time::Duration;

use chrono::DateTime;
use redis::FromRedisValue;
use tokio::time::{sleep, timeout};

use super::script::{
    DELETE_ROOM, ERASE_ROOM, LIST_MEMBERS, READ_ROOM, REMOVE_MEMBER, SET_MEMBER, SET_ROOM, Script,
};
use super::{RateLimited, Store, flag, reply};
use crate::error::{Code, Error};
use crate::model::{
    JoinRule, MemberPage, MembersQuery, RoomHistory, RoomInput, RoomMember, RoomMembership,
    RoomName, RoomProfile, RoomRole, RoomState, UserId,
};
use crate::rate::{RateLimitRequest, RateLimitStatus};

/// How long the deletion of a room waits until its members are told and its data is deleted.
const DELETE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it looks meanwhile.
const DELETE_PAUSE: Duration = Duration::from_millis(10);

/// Who manages a room, and the rate limit to charge.
#[derive(Clone, Copy)]
pub struct RoomAccess<'a> {
    /// The acting user; `None` for a backend, which may do what admins may.
    pub actor: Option<&'a UserId>,
    pub room: &'a RoomName,
    /// The rate limit to charge, if any.
    pub charge: Option<&'a RateLimitRequest>,
}

impl<'a> RoomAccess<'a> {
    /// The service itself, which acts for nobody.
    pub(super) fn of_service(room: &'a RoomName) -> Self {
        Self {
            actor: None,
            room,
            charge: None,
        }
    }
}

/// Whether a request may create a room.
#[derive(Clone, Copy, Debug)]
pub struct RoomCreation {
    /// Whether the acting user may create rooms.
    pub allowed: bool,
    /// Whether an existing room is refused.
    pub required: bool,
    /// Maximum number of members of the room.
    pub members: u16,
}

/// A room that was created or changed.
pub struct SetRoom {
    pub room: RoomState,
    pub created: bool,
}

/// A member that was added or changed.
pub struct SetMember {
    pub member: RoomMember,
    pub added: bool,
}

/// Join rule, history, profile, member count, seq, creation in microseconds and membership, see
/// `lua/lib/room_view.lua`.
type RoomViewReply = (String, String, String, u32, u64, i64, Vec<String>);

impl Store {
    /// Creates a room, or replaces its settings, and adds users to it.
    pub async fn set_room(
        &self,
        access: RoomAccess<'_>,
        input: &RoomInput,
        creation: RoomCreation,
    ) -> Result<RateLimited<SetRoom>, Error> {
        let (access, quota) = self.charge_first(access).await?;
        let users = users_to_add(access.actor.filter(|_| creation.allowed), input);
        let places = self.reserve_rooms(access.room, users.iter().map(|(user, _)| *user));
        let places = places.await?;
        let changed = self.apply_settings(access, input, creation, &users).await;
        let joined = changed.as_ref().map(|(_, _, joined)| joined.as_slice());
        self.settle_rooms(places, joined).await;
        let (created, room, _) = changed?;
        let value = SetRoom {
            room: room_state(access.room, room)?,
            created: created == 1,
        };
        Ok(RateLimited { value, quota })
    }

    async fn apply_settings(
        &self,
        access: RoomAccess<'_>,
        input: &RoomInput,
        creation: RoomCreation,
        users: &[(&UserId, RoomRole)],
    ) -> Result<(u8, RoomViewReply, Vec<String>), Error> {
        let rules = [input.join().as_str(), input.history().as_str()].join("|");
        let profile = input.profile().to_json();
        let limit = creation.members.to_string();
        let mut args = vec![&*rules, &*profile, flag(creation.allowed)];
        args.extend([flag(creation.required), &*limit]);
        let users = users.iter();
        args.extend(users.flat_map(|(user, role)| [user.as_str(), role.as_str()]));
        let changed = self.manage_room(&SET_ROOM, access, &args).await?;
        Ok(changed.value)
    }

    /// A room as a user sees it.
    pub async fn read_room(&self, access: RoomAccess<'_>) -> Result<RateLimited<RoomState>, Error> {
        let room = self.look_at_room::<RoomViewReply>(&READ_ROOM, access, &[]);
        room.await?.try_map(|reply| room_state(access.room, reply))
    }

    /// Deletes a room. Its members have been told and its data is deleted when this returns, or soon after.
    pub async fn delete_room(&self, access: RoomAccess<'_>) -> Result<RateLimited<()>, Error> {
        let deleted = self.manage_room::<u8>(&DELETE_ROOM, access, &[]).await?;
        let erased = async {
            // Another task can have the lease of the room, and files and erases it then.
            while !self.erase_room(access.room).await? {
                self.file_room(access.room).await?;
                sleep(DELETE_PAUSE).await;
            }
            Ok::<_, Error>(())
        };
        // If this fails or takes longer, the room is found in the outbox.
        let _ = timeout(DELETE_TIMEOUT, erased).await;
        Ok(deleted.map(|_| ()))
    }

    /// Deletes all data of a room that is being deleted, if its members have been told. Returns whether nothing of it
    /// is left.
    pub async fn erase_room(&self, room: &RoomName) -> Result<bool, Error> {
        // All but the feed.
        let [keys @ .., _] = self.keys.room(room);
        let keys = [keys.as_slice(), &[self.keys.garbage(room.as_str())]].concat();
        let (folder, grace_ms) = self.archive_args(room.as_str());
        let args = [room.as_str(), &folder, &grace_ms].map(str::as_bytes);
        self.run::<u8>(&ERASE_ROOM, &keys, &args)
            .await
            .map(|erased| erased == 1)
    }

    /// A page of the members of a room.
    pub async fn list_members(
        &self,
        access: RoomAccess<'_>,
        query: &MembersQuery,
    ) -> Result<RateLimited<MemberPage>, Error> {
        let after = query.after.as_ref().map_or("", UserId::as_str);
        let limit = query.limit().to_string();
        let args = [after, &limit];
        let page = self.look_at_room::<(Vec<Vec<String>>, u8)>(&LIST_MEMBERS, access, &args);
        page.await?.try_map(|(members, more)| {
            let members = members.into_iter().map(|member| match &member[..] {
                [user, view @ ..] => room_member(reply::user(user.clone())?, view),
                [] => Err(malformed()),
            });
            let members = members.collect::<Result<Vec<_>, Error>>()?;
            let last = members.last().map(|member| member.user.clone());
            let next_after = last.filter(|_| more == 1);
            Ok(MemberPage {
                members,
                next_after,
            })
        })
    }

    /// Adds a user to a room, or sets its role. `limit` is the maximum number of members.
    pub async fn set_member(
        &self,
        access: RoomAccess<'_>,
        user: &UserId,
        role: Option<RoomRole>,
        limit: u16,
    ) -> Result<RateLimited<SetMember>, Error> {
        let (access, quota) = self.charge_first(access).await?;
        let is_banned = role == Some(RoomRole::Banned);
        let joining = Some(user).filter(|_| !is_banned);
        let places = self.reserve_rooms(access.room, joining.into_iter()).await?;
        let (role, limit) = (role.map_or("", RoomRole::as_str), limit.to_string());
        let args = [user.as_str(), role, &limit];
        let set = self.manage_room::<(u8, Vec<String>, String)>(&SET_MEMBER, access, &args);
        let set = set.await;
        let joined = [user.as_str().to_owned()];
        self.settle_rooms(places, set.as_ref().map(|_| &joined[..]))
            .await;
        let (added, member, version) = set?.value;
        if is_banned {
            // If this fails, the place is given up when all are in use.
            let _ = self.release_room(user, access.room, &version).await;
        }
        let value = SetMember {
            member: room_member(user.clone(), &member)?,
            added: added == 1,
        };
        Ok(RateLimited { value, quota })
    }

    /// Removes a user from a room.
    pub async fn remove_member(
        &self,
        access: RoomAccess<'_>,
        user: &UserId,
    ) -> Result<RateLimited<()>, Error> {
        let args = [user.as_str()];
        let removed = self.manage_room::<String>(&REMOVE_MEMBER, access, &args);
        let removed = removed.await?;
        // If this fails, the place is given up when all are in use.
        let _ = self.release_room(user, access.room, &removed.value).await;
        Ok(removed.map(|_| ()))
    }

    /// Runs a script that changes a room, also for nobody. `args` follow the argument `leader`.
    pub(super) async fn manage_room<T: FromRedisValue>(
        &self,
        script: &'static Script,
        access: RoomAccess<'_>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let RoomAccess {
            actor,
            room,
            charge,
        } = access;
        let keys = self.keys.room(room).to_vec();
        self.run_as(script, script.retry, (room, actor), charge, keys, args)
            .await
    }

    /// Runs a script that reads a room. `args` follow the argument `retention`.
    async fn look_at_room<T: FromRedisValue>(
        &self,
        script: &'static Script,
        access: RoomAccess<'_>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let keys = self.keys.room(access.room);
        let retention = self.retention.script_arg();
        let actor = access.actor.map_or("", UserId::as_str);
        let common = [access.room.as_str(), actor, &retention];
        let args: Vec<_> = common
            .iter()
            .chain(args)
            .map(|arg| arg.as_bytes())
            .collect();
        self.run_charged(script, access.charge, &keys, &args).await
    }

    /// Charges a request that runs several scripts. Returns the rest of it, which is not charged again.
    async fn charge_first<'a>(
        &self,
        access: RoomAccess<'a>,
    ) -> Result<(RoomAccess<'a>, Option<RateLimitStatus>), Error> {
        let quota = self.charge_several(access.charge).await?;
        let charge = None;
        Ok((RoomAccess { charge, ..access }, quota))
    }
}

/// The users to add to a room, each once, with their roles. The user who creates it is an admin.
fn users_to_add<'a>(
    creator: Option<&'a UserId>,
    input: &'a RoomInput,
) -> Vec<(&'a UserId, RoomRole)> {
    let admins = creator.into_iter().chain(input.admins());
    let admins = admins.map(|user| (user, RoomRole::Admin));
    let members = input.members().iter().map(|user| (user, RoomRole::Member));
    let mut seen = HashSet::new();
    let mut users: Vec<_> = admins.chain(members).collect();
    users.retain(|(user, _)| seen.insert(*user));
    users
}

fn room_state(name: &RoomName, reply: RoomViewReply) -> Result<RoomState, Error> {
    let (join, history, profile, member_count, seq, created, membership) = reply;
    let profile = RoomProfile::parse(&profile)?;
    let membership = match &membership[..] {
        [] => None,
        view => Some(room_membership(view)?),
    };
    Ok(RoomState {
        id: name.clone().into(),
        title: profile.title,
        join: JoinRule::parse(&join).ok_or_else(malformed)?,
        history: RoomHistory::parse(&history).ok_or_else(malformed)?,
        metadata: profile.metadata,
        member_count,
        last_seq: reply::seq(seq)?,
        created_at: DateTime::from_timestamp_micros(created).ok_or_else(malformed)?,
        membership,
    })
}

fn room_member(user: UserId, view: &[String]) -> Result<RoomMember, Error> {
    room_membership(view).map(|membership| membership.of(user))
}

/// Reads a member as `lua/lib/room_view.lua` returns it.
fn room_membership(view: &[String]) -> Result<RoomMembership, Error> {
    match view {
        [role, read, joined_ms] => RoomMembership::parse(role, read, joined_ms),
        _ => None,
    }
    .ok_or_else(malformed)
}

fn malformed() -> Error {
    Error::new(Code::Internal, "A stored room is malformed.")
}
