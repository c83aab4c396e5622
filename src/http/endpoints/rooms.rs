//! `/rooms`: rooms and their members.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, put};
use serde_json::json;
use utoipa::IntoResponses;

use super::{examples, no_content};
use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{JsonBody, NoInput, OptionalBody, QueryParams};
use crate::http::header::IfNoneMatchHeader;
use crate::http::path::{PathRoom, PathUser};
use crate::http::{json, problem};
use crate::model::{
    MemberInput, MemberPage, MembersQuery, RoomInput, RoomMember, RoomQuery, RoomState,
};
use crate::operations::Operations;

problem::refusals!(SetRoomErrors: CALL BODY CHANGE; NotAMember, RoomFull, RoomIsBeingDeleted, TooManyRooms, PreconditionFailed);

/// The responses to a created or changed room, for openapi.yaml.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the derive reads it")]
enum SetRoomResponses {
    /// The room was created.
    #[response(
        status = 201,
        headers(("Location" = String, description = "The path of the room.")),
        example = json!(examples::room())
    )]
    Created(RoomState),
    /// The room existed and has these settings now.
    #[response(status = 200, example = json!(examples::room()))]
    Changed(RoomState),
}

/// Create or change a room
///
/// Creates the room, or replaces its settings; a setting that the body does not contain gets its default.
/// Adds `members` and `admins` and removes nobody. The user who creates a room becomes its admin; a backend
/// names `admins`, and is not a member itself. Members receive `room.joined` for each new member, and
/// `conversation.changed` if settings change. With `If-None-Match: *` an existing room is not changed.
///
/// Users create rooms, unless the service reserves that for backends, and change those of which they are an admin;
/// backends change any room.
#[utoipa::path(
    tag = "rooms",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathRoom, IfNoneMatchHeader),
    request_body(content = RoomInput, description = "The settings, and users to add.", example = json!(examples::new_room())),
    responses(SetRoomResponses, SetRoomErrors)
)]
#[put("/rooms/{room}")]
pub async fn set_room(
    caller: Caller,
    PathRoom { room }: PathRoom,
    IfNoneMatchHeader(only_create): IfNoneMatchHeader,
    JsonBody(input): JsonBody<RoomInput>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let set = operations
        .set_room(&caller, &room, input, only_create)
        .await?;
    let json = json!(set.value.room).to_string();
    if !set.value.created {
        return Ok(json::answer(json, set.quota));
    }
    let location = ["/rooms/", &room.path_segment()].concat();
    Ok(json::created(json, set.quota, Some(&location)))
}

problem::refusals!(ReadRoomErrors: CALL READ; NotAMember, RoomNotFound);

/// Read a room
///
/// The settings of the room and the membership of the user. Members read it, and in a room that is open everybody
/// who is not banned. Users read as themselves, backends as any user, or without a user.
#[utoipa::path(
    tag = "rooms",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathRoom, RoomQuery),
    responses(
        (status = 200, description = "The room.", body = RoomState, example = json!(examples::room())),
        ReadRoomErrors,
    )
)]
#[get("/rooms/{room}")]
pub async fn read_room(
    caller: Caller,
    PathRoom { room }: PathRoom,
    query: QueryParams<RoomQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let room = operations.read_room(&caller, &room, &query.0).await?;
    Ok(json::answer(json!(room.value).to_string(), room.quota))
}

problem::refusals!(DeleteRoomErrors: CALL CHANGE; NotAMember, RoomNotFound);

/// Delete a room
///
/// Deletes the room with all its messages. Members receive `room.left`. From now on the room does not exist for
/// anybody; its name can be used again within seconds. Users delete rooms of which they are an admin, backends any
/// room.
#[utoipa::path(
    tag = "rooms",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathRoom),
    responses((status = 204, description = "The room is deleted."), DeleteRoomErrors)
)]
#[delete("/rooms/{room}")]
pub async fn delete_room(
    caller: Caller,
    PathRoom { room }: PathRoom,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let deleted = operations.delete_room(&caller, &room).await?;
    Ok(no_content(deleted.quota))
}

/// List the members of a room
///
/// The members in the order of their ids, each with the `seq` up to which it has read. Members list them, and in a
/// room that is open everybody who is not banned; admins and backends also see who is banned. Users list as
/// themselves, backends for any room.
#[utoipa::path(
    tag = "rooms",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathRoom, MembersQuery),
    responses(
        (status = 200, description = "A page of the members.", body = MemberPage,
            example = json!({"members": [examples::room_member()], "next_after": null})),
        ReadRoomErrors,
    )
)]
#[get("/rooms/{room}/members")]
pub async fn list_members(
    caller: Caller,
    PathRoom { room }: PathRoom,
    query: QueryParams<MembersQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let page = operations.list_members(&caller, &room, &query.0).await?;
    Ok(json::answer(json!(page.value).to_string(), page.quota))
}

problem::refusals!(SetMemberErrors: CALL BODY CHANGE; NotAMember, RoomNotFound, RoomFull, TooManyRooms);

/// The responses to a new or changed member, for openapi.yaml.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the derive reads it")]
enum SetMemberResponses {
    /// The user is in the list of members now.
    #[response(status = 201, example = json!(examples::room_member()))]
    Added(RoomMember),
    /// The user was in the list of members before.
    #[response(status = 200, example = json!(examples::room_member()))]
    Changed(RoomMember),
}

/// Join a room, or set a member
///
/// Adds `user` to the room, or changes its role. Users join open rooms as themselves; that needs no body, and joining
/// again changes nothing. Admins and backends add any user, change roles and ban: a banned user is not a member, can
/// neither read nor join, and stays in the list of members with the role `banned` until an admin sets another role or
/// removes it. Members receive `room.joined`, or `room.left` for a member who is banned, or `conversation.changed`.
#[utoipa::path(
    tag = "rooms",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathRoom, PathUser),
    // A reference, because utoipa declares an optional type as nullable.
    request_body(content = ref("#/components/schemas/MemberInput"), content_type = "application/json",
        description = "The role. Without a body a new user becomes a member.",
        example = json!({"role": "member"})),
    responses(SetMemberResponses, SetMemberErrors)
)]
#[put("/rooms/{room}/members/{user}")]
pub async fn set_member(
    caller: Caller,
    PathRoom { room }: PathRoom,
    PathUser { user }: PathUser,
    OptionalBody(input): OptionalBody<MemberInput>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let role = input.unwrap_or_default().role;
    let member = operations.set_member(&caller, &room, &user, role).await?;
    let json = json!(member.value.member).to_string();
    Ok(if member.value.added {
        json::created(json, member.quota, None)
    } else {
        json::answer(json, member.quota)
    })
}

/// Leave a room, or remove a member
///
/// The user has no access from now on, and the room is no longer in its inbox; its messages stay. A user who is not
/// in the room is not an error. Removing a banned user lifts the ban. Every member may leave; a room without members
/// stays until it is deleted. Members receive `room.left`. Users leave as themselves; admins and backends remove any
/// user.
#[utoipa::path(
    tag = "rooms",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathRoom, PathUser),
    responses((status = 204, description = "The user is not in the room."), DeleteRoomErrors)
)]
#[delete("/rooms/{room}/members/{user}")]
pub async fn remove_member(
    caller: Caller,
    PathRoom { room }: PathRoom,
    PathUser { user }: PathUser,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let removed = operations.remove_member(&caller, &room, &user).await?;
    Ok(no_content(removed.quota))
}
