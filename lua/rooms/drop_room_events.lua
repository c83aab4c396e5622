#!lua flags=allow-oom
--- @include "lib/room"
-- Drops the events of a room, which contain texts of an erased user, if all of them are filed. Devices that watch the
-- room and resume receive `conversation.changed` instead. Returns the members, whose journals contain the same texts.
--
-- Returns  members  nil if some events are not filed

local meta        = KEYS[1] -- hash    everything else of the room, see lib/room
local members     = KEYS[2] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[3] -- stream  events of the room; also the name of the channel

local stored = redis.call('HMGET', meta, 'state', 'filed')
if not stored[1] then return {} end
if stored[2] < parse_room_state(stored[1]).last_event then return nil end
redis.call('XTRIM', room_events, 'MAXLEN', 0)
local stored_members, ids = redis.call('HGETALL', members), {}
for i = 1, #stored_members, 2 do ids[#ids + 1] = stored_members[i] end
return ids
