#!lua
--- @include "lib/commit_room"
--- @include "lib/room"
--- @include "lib/room_admin"
--- @include "lib/room_view"
-- Adds a user to a room, or sets its role.
--
-- Returns  [added, member, version]  1 if the user was not in the list of members before; the member, see
--          lib/room_view; the version of the room
-- Changes  room.joined
-- Changes  room.left
-- Changes  conversation.changed
-- Errors   ROOM_NOT_FOUND  there is no such room, or the acting user does not see it
--          NOT_A_MEMBER    the acting user is banned, or is not a member and wants more than to join
--          FORBIDDEN       the acting user is not an admin
--          ROOM_FULL       the room has the maximum number of members, or of banned users

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local name        = ARGV[1] -- string  name of the room
local actor       = ARGV[2] -- string  user id of the acting user; empty for a backend
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  name under which the caller files events
local user        = ARGV[5] -- string  user id of the member
local role        = ARGV[6] -- string  member, admin or banned; empty to make a member of a user who is none
local limit       = ARGV[7] -- integer maximum number of members

local MAX_BANNED = 1000

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, actor, retention)
local record = room and redis.call('HGET', members, user)
local old = record and parse_member(user, record, room) or nil
local was_member = is_member(old)
if role == '' then role = was_member and old.role or 'member' end

local joins = room and actor == user and role == 'member' and not room.member and room.join == 'open'
local changes_nothing = old and old.role == role
local keeps_own = changes_nothing and actor == user and was_member
if not joins and not keeps_own then
  local refusal = refuse_non_admin(room, actor)
  if refusal then return refusal end
end
if changes_nothing then return commit_room(room, nil, leader, nil, {0, member_view(old), room.version}) end

local count = tonumber(redis.call('HGET', meta, 'member_count'))
if role == 'banned' then
  if not old and redis.call('HLEN', members) - count >= MAX_BANNED then
    return redis.error_reply('ROOM_FULL The room has the maximum number of banned users.')
  end
elseif not was_member and count >= tonumber(limit) then
  return redis.error_reply('ROOM_FULL The room has the maximum number of ' .. limit .. ' members.')
end

local member, change = old, {kind = 'conversation.changed', user = user}
if role == 'banned' then
  if was_member then
    change = {kind = 'room.left', user = user, since = old.since}
    redis.call('HINCRBY', meta, 'member_count', -1)
  else
    member = new_member(room, user, role)
  end
elseif not was_member then
  member, change = new_member(room, user, role), {kind = 'room.joined', user = user}
  redis.call('HINCRBY', meta, 'member_count', 1)
end
member.role = role
redis.call('HSET', members, user, format_member(member))
append_event(room, change)
return commit_room(room, nil, leader, nil, {old and 0 or 1, member_view(member), room.version})
