//! Rooms and their members.

use super::Operations;
use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::model::{
    MemberPage, MembersQuery, RoomId, RoomInput, RoomQuery, RoomRole, RoomState, UserId,
};
use crate::rate::{RateLimitRequest, RateLimited};
use crate::store::{RoomAccess, RoomCreation, SetMember, SetRoom};

impl Operations {
    /// Creates a room, or replaces its settings, and adds users to it. With `only_create` an existing room is
    /// refused.
    pub async fn set_room(
        &self,
        caller: &Caller,
        room: &RoomId,
        input: RoomInput,
        only_create: bool,
    ) -> Result<RateLimited<SetRoom>, Error> {
        let input = input.checked()?;
        let charge = self.charge_request(caller);
        let access = access(caller, room, charge.as_ref());
        if access.actor.is_some() && !input.admins().is_empty() {
            let why = "is for backends; admins set the role of a member";
            return Err(Error::field(Code::Forbidden, "/admins", why));
        }
        let creation = RoomCreation {
            allowed: access.actor.is_none() || self.settings.users_create_rooms,
            required: only_create,
            members: self.settings.room_members,
        };
        self.store.set_room(access, &input, creation).await
    }

    /// Returns a room as a user sees it: the caller, or any user for a backend.
    pub async fn read_room(
        &self,
        caller: &Caller,
        room: &RoomId,
        query: &RoomQuery,
    ) -> Result<RateLimited<RoomState>, Error> {
        let named = query.user.as_ref();
        if let Some(user) = named {
            caller.authorize(user)?;
        }
        let charge = self.charge_request(caller);
        let mut access = access(caller, room, charge.as_ref());
        access.actor = access.actor.or(named);
        self.store.read_room(access).await
    }

    /// Deletes a room with all its messages.
    pub async fn delete_room(
        &self,
        caller: &Caller,
        room: &RoomId,
    ) -> Result<RateLimited<()>, Error> {
        let charge = self.charge_request(caller);
        let access = access(caller, room, charge.as_ref());
        self.store.delete_room(access).await
    }

    /// Returns a page of the members of a room.
    pub async fn list_members(
        &self,
        caller: &Caller,
        room: &RoomId,
        query: &MembersQuery,
    ) -> Result<RateLimited<MemberPage>, Error> {
        let charge = self.charge_request(caller);
        let access = access(caller, room, charge.as_ref());
        self.store.list_members(access, query).await
    }

    /// Adds a user to a room, or sets its role. Users join as themselves.
    pub async fn set_member(
        &self,
        caller: &Caller,
        room: &RoomId,
        user: &UserId,
        role: Option<RoomRole>,
    ) -> Result<RateLimited<SetMember>, Error> {
        let charge = self.charge_request(caller);
        let access = access(caller, room, charge.as_ref());
        let limit = self.settings.room_members;
        self.store.set_member(access, user, role, limit).await
    }

    /// Removes a user from a room. Users leave as themselves.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        room: &RoomId,
        user: &UserId,
    ) -> Result<RateLimited<()>, Error> {
        let charge = self.charge_request(caller);
        let access = access(caller, room, charge.as_ref());
        self.store.remove_member(access, user).await
    }
}

/// The access of a caller to a room. Backends and anonymous callers act as no user, and may do everything.
fn access<'a>(
    caller: &'a Caller,
    room: &'a RoomId,
    charge: Option<&'a RateLimitRequest>,
) -> RoomAccess<'a> {
    RoomAccess {
        actor: match caller {
            Caller::User(user) => Some(user),
            Caller::Anonymous | Caller::Backend(_) => None,
        },
        room: room.name(),
        charge,
    }
}
