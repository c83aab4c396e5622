#!lua flags=allow-oom
--- @include "lib/room"
-- Drops the events of a room, which contain texts of an erased user, once they are filed. Devices that watch the room
-- and resume receive `conversation.changed` instead.
--
-- Returns  [version, members]  the version of the newest event to drop; the members, whose journals contain the same
--          texts, or nil if some of the events are not filed and nothing was dropped

local meta        = KEYS[1] -- hash    everything else of the room, see lib/room
local members     = KEYS[2] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[3] -- stream  events of the room; also the name of the channel
local version     = ARGV[1] -- integer version of the newest event to drop; empty for the newest that there is

local stored = redis.call('HMGET', meta, 'state', 'filed')
if not stored[1] then return {version, {}} end
local last_event, filed = parse_room_state(stored[1]).last_event, stored[2]
if version == '' then version = last_event end
if filed < version then return {version, false} end
if filed == last_event then
  redis.call('XTRIM', room_events, 'MAXLEN', 0)
else
  redis.call('XTRIM', room_events, 'MINID', string.format('%d', filed + 1))
end
local records, ids = redis.call('HGETALL', members), {}
for i = 1, #records, 2 do ids[#ids + 1] = records[i] end
return {version, ids}
