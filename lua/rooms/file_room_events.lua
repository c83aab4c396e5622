#!lua flags=allow-oom
--- @include "lib/room_inbox"
-- Files events of a room in the inboxes of some members, with the state that the room had at the same moment, and
-- publishes them to the members' devices. It can be repeated, late or out of order.
--
-- Returns  done  1

-- For each member: zset peer -> its place, see lib/order; hash of rows and totals, see lib/row; list of events
local inboxes = KEYS    -- zsets, hashes and lists
local name    = ARGV[1] -- string  name of the room
local state   = ARGV[2] -- string  state of the room, see lib/room
local kind    = ARGV[3] -- string  type of the event if only the member has changed; empty to tell nothing else
local count   = ARGV[4] -- integer number of events
-- Then for each event its version, type, message (JSON or empty) and user; then for each member the id and the record
local rest    = {unpack(ARGV, 5)}

local room, events = parse_room_state(state), {}
for i = 1, 4 * count, 4 do
  local message = rest[i + 2]
  events[#events + 1] = {
    version = rest[i], kind = rest[i + 1], message = message, user = rest[i + 3],
    seq = tonumber((string.match(message, MESSAGE_HEAD))),
  }
end
local owner = {}
for i = 1, #inboxes / 3 do
  local at = 4 * count + 2 * i - 1
  owner.id, owner.inbox, owner.conversations, owner.events =
    rest[at], inboxes[3 * i - 2], inboxes[3 * i - 1], inboxes[3 * i]
  local row = room_row(room, owner.id, rest[at + 1])
  local published = update_room_inbox(owner, name, room.version, row, events, kind)
  for _, event in ipairs(published) do redis.pcall('SPUBLISH', owner.events, event) end
end
return 1
