#!lua flags=allow-oom
--- @include "lib/lease"
--- @include "lib/room"
-- Takes the next events of a room that are to be filed in the inboxes of its members, with the state of all members
-- at the same moment, and confirms that those before are filed. When there are none, it ends the filing. Members whose
-- inboxes could not be updated are noted in the outbox, so that a node that is down does not hold up the others.
--
-- Returns  [state, events, members, deleted]  the state of the room, see lib/room; for each event its version, type,
--          message and user; for each member the id and the record, which is left|since|version for who has left.
--          The last is 1 if the room is deleted and everybody was told of it. nil if there is nothing to file, or if
--          another process files

local meta        = KEYS[1] -- hash    everything but the messages of the room, see lib/room
local members     = KEYS[2] -- hash    members of the room, see lib/room
local room_events = KEYS[3] -- stream  events of the room
local outbox      = KEYS[4] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[5] -- string  who files the room's events now, see lib/lease
local name        = ARGV[1] -- string  name of the room
local leader      = ARGV[2] -- string  under which name the caller files
local done        = ARGV[3] -- integer version up to which it has filed; empty at first
-- Then the ids of members whose inboxes could not be updated
local missed      = {unpack(ARGV, 4)}

-- How many events are filed at once, how many of those that are filed stay for who watches, and for how long, in
-- seconds.
local TAKEN, KEPT, KEPT_S = 16, 256, 86400

local holder = redis.call('GET', lease)
if holder and holder ~= leader then return end
local stored = redis.call('HMGET', meta, 'state', 'filed', 'deleted')
if not stored[1] then
  redis.call('DEL', lease)
  redis.call('ZREM', outbox, name)
  return
end
redis.call('SET', lease, leader, 'PX', LEASE_MS)
local room, filed, deleted = parse_room_state(stored[1]), stored[2] or '0', stored[3]
if done ~= '' and done > filed then
  filed = done
  redis.call('HSET', meta, 'filed', filed)
end
for _, user in ipairs(missed) do redis.call('ZADD', outbox, room.version, name .. ',' .. user) end

local events, left = {}, {}
local entries = redis.call('XRANGE', room_events, '(' .. filed .. '-0', '+', 'COUNT', TAKEN)
for _, entry in ipairs(entries) do
  -- The fields are kind, message, user and since.
  local version, fields = string.match(entry[1], '%d+'), entry[2]
  local kind, user = fields[2], fields[6]
  events[#events + 1] = version
  events[#events + 1] = kind
  events[#events + 1] = fields[4]
  events[#events + 1] = user
  if kind == 'room.left' and user ~= '' then left[user] = 'left|' .. fields[8] .. '|' .. version end
end
if #entries < TAKEN then redis.call('XTRIM', room_events, 'MAXLEN', KEPT + #entries) end
if #entries == 0 and room.last_event > filed then
  -- The events are gone, but not what they changed.
  events = {room.last_event, 'conversation.changed', '', ''}
end
if #events == 0 then
  if deleted then return {stored[1], {}, {}, 1} end
  redis.call('EXPIRE', room_events, KEPT_S)
  redis.call('DEL', lease)
  redis.call('ZREM', outbox, name)
  return
end

local found, records = {}, redis.call('HGETALL', members)
for i = 1, #records, 2 do
  local user, record = records[i], records[i + 1]
  local role, since = string.match(record, '^(%l+)|(%d+)')
  if role ~= 'banned' then
    if deleted then record = 'left|' .. since .. '|' .. deleted end
    found[#found + 1], found[#found + 2] = user, record
    left[user] = nil
  end
end
for user, record in pairs(left) do found[#found + 1], found[#found + 2] = user, record end
return {stored[1], events, found, 0}
