#!lua flags=no-writes
--- @include "lib/version"
-- Reads what the inbox of a user is to say of a room now, because an update of it is not confirmed.
--
-- Returns  [state, record, filed]  the state of the room and the record of the user, as
--          lua/rooms/file_room_events.lua takes them, and the version up to which events are filed; nil if there is
--          no such room

local meta    = KEYS[1] -- hash    everything but the messages of the room, see lib/room
local members = KEYS[2] -- hash    members of the room, see lib/room
local user    = ARGV[1] -- string  user id

local stored = redis.call('HMGET', meta, 'state', 'filed')
local state, filed = stored[1], stored[2]
if not state then return end
local record = redis.call('HGET', members, user)
if record and string.match(record, '^%l+') ~= 'banned' then return {state, record, filed} end
local _, version = parse_version(state)
return {state, 'left|' .. version .. '|' .. version, filed}
