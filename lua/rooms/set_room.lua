#!lua
--- @include "lib/commit_room"
--- @include "lib/room"
--- @include "lib/room_admin"
--- @include "lib/room_view"
-- Creates a room, or replaces its settings, and adds users to it. Members keep their role, unless they become
-- admins; banned users stay banned.
--
-- Returns  [created, room, joined]  1 if the room is new; the room, see lib/room_view; those of the users who were
--          not in it before
-- Changes  room.joined
-- Changes  conversation.changed
-- Errors   FORBIDDEN              the user may not create the room, or is not an admin of it
--          NOT_A_MEMBER           the user is not a member of the open room, or is banned
--          ROOM_NOT_FOUND         never; a room that the user does not see is FORBIDDEN
--          ROOM_IS_BEING_DELETED  the former room of this name still exists
--          ROOM_FULL              the room would have too many members
--          PRECONDITION_FAILED    the room exists

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the acting user; empty for a backend
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  name under which the caller files events
local access      = ARGV[5] -- string  join|history, see lib/room
local profile     = ARGV[6] -- string  title and metadata as JSON
local may_create  = ARGV[7] -- flag    1 if the user may create rooms
local only_create = ARGV[8] -- flag    1 if the room must not exist
local limit       = ARGV[9] -- integer maximum number of members
-- Then for each user to add: the user id and the role
local added       = {unpack(ARGV, 10)}

local function load()
  return load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
end

local forbidden = redis.error_reply('FORBIDDEN The user may not create this room, or is not an admin of it.')
local room = load()
if may_create ~= '1' and (only_create == '1' or not room) then return forbidden end
if not room and redis.call('EXISTS', meta) == 1 then
  return redis.error_reply('ROOM_IS_BEING_DELETED The former room of this name is being deleted.')
end
if room and only_create == '1' then return redis.error_reply('PRECONDITION_FAILED The room exists.') end
if room and not is_admin(room, user) then
  -- Not ROOM_NOT_FOUND, which would invite the user to create the room.
  local is_hidden = room.join == 'invited' and not room.member
  return not is_hidden and refuse_stranger(room) or forbidden
end

local joining, promoted, count = {}, {}, 0
for i = 1, #added, 2 do
  local record = room and redis.call('HGET', members, added[i])
  local member = record and parse_member(added[i], record, room)
  if not member then
    joining[#joining + 1] = {user = added[i], role = added[i + 1]}
  elseif added[i + 1] == 'admin' and member.role == 'member' then
    member.role = 'admin'
    promoted[#promoted + 1] = member
  end
end
if room then count = tonumber(redis.call('HGET', meta, 'member_count')) end
if #joining > 0 and count + #joining > tonumber(limit) then
  return redis.error_reply('ROOM_FULL The room would have more than ' .. limit .. ' members.')
end

local is_new = not room
if is_new then
  local created = now_us()
  redis.call('HSET', meta, 'created', created, 'state', '0|' .. created .. '|0|0|0', 'filed', created,
    'access', access, 'profile', profile)
  room = load()
  feed_room_change(room, 'room.created', user)
  -- The events of a room begin with its creation, so that whoever watches from the beginning misses none.
  if #joining == 0 then append_event(room, {kind = 'conversation.changed', creates = true}) end
else
  local old = redis.call('HMGET', meta, 'access', 'profile')
  if old[1] ~= access or old[2] ~= profile then
    redis.call('HSET', meta, 'access', access, 'profile', profile)
    room.join, room.history = string.match(access, '^(%l+)|(%l+)$')
    append_event(room, {kind = 'conversation.changed'})
  end
end
local joined = {}
for i, one in ipairs(joining) do
  local member = new_member(room, one.user, one.role)
  redis.call('HSET', members, one.user, format_member(member))
  append_event(room, {kind = 'room.joined', user = one.user})
  if one.user == user then room.member = member end
  joined[i] = one.user
end
redis.call('HSET', meta, 'member_count', count + #joining)
for _, member in ipairs(promoted) do
  redis.call('HSET', members, member.id, format_member(member))
  append_event(room, {kind = 'conversation.changed', user = member.id})
end
return commit_room(room, nil, leader, nil, {is_new and 1 or 0, room_view(room), joined})
