#!lua flags=allow-oom
--- @include "lib/room_inbox"
-- Files events of a room in the inboxes of some members, with the state that the room had at the same moment, and
-- publishes them to the members' devices. It can be repeated, late or out of order.
--
-- Returns  done  1

-- For each member: zset peer -> its place, see lib/order; hash of rows and totals, see lib/row; list of events. Then, on
-- a cluster, the stream of badges of the partition, see lib/badges, and the zset of those who are online; none if
-- nobody is known to read the badges
local inboxes = KEYS    -- zsets, hashes and lists
local name    = ARGV[1] -- string  name of the room
local state   = ARGV[2] -- string  state of the room, see lib/room
local kind    = ARGV[3] -- string  type of the event if only the member has changed; empty to tell nothing else
local count   = ARGV[4] -- integer number of events
-- Then for each event its version, type, message (JSON or empty) and user; then for each member the id and the record
local rest    = {unpack(ARGV, 5)}

local members = #rest / 2 - 2 * count
local badges, leases = inboxes[3 * members + 1], inboxes[3 * members + 2]
local owner = {events = inboxes[3]}
-- On one Redis all partitions have badges, or none has.
find_badges(owner, badges, leases)
local room, events = parse_room_state(state), {}
for i = 1, 4 * count, 4 do
  local message = rest[i + 2]
  local seq, from = string.match(message, MESSAGE_HEAD)
  events[#events + 1] = {
    version = rest[i], kind = rest[i + 1], message = message, user = rest[i + 3], seq = tonumber(seq), from = from,
    mentioned = owner.badges and mentioned_users(message) or nil,
  }
end
for i = 1, members do
  local at = 4 * count + 2 * i - 1
  owner.id, owner.inbox, owner.conversations, owner.events =
    rest[at], inboxes[3 * i - 2], inboxes[3 * i - 1], inboxes[3 * i]
  if owner.badges then name_badges(owner, badges, leases) end
  local row = room_row(room, owner.id, rest[at + 1])
  local published = update_room_inbox(owner, name, room.version, row, events, kind)
  for _, event in ipairs(published) do redis.pcall('SPUBLISH', owner.events, event) end
end
-- Once for all members, because each wakes all who wait.
publish_badge(owner)
return 1
