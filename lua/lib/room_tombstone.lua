-- Deletion of messages of a room.
--- @include "lib/room"
--- @include "lib/tombstone"

-- Puts a tombstone in the place of a message. It still counts as unread.
--
-- Returns  the tombstone, and the entry to take from the schedule, if any
local function delete_room_stored(room, seq, message, deleted_at)
  local tombstone = make_tombstone(message, deleted_at)
  redis.call('LSET', room.messages, room.seq - seq, tombstone)
  local _, from, next_member = string.match(message, MESSAGE_HEAD)
  if next_member ~= EXPIRING then return tombstone end
  return tombstone, message_entry(from, room.name, seq, (string.match(message, MESSAGE_ENVELOPE)))
end

-- Returns a message that a user sees, as it is stored; nil if there is none. `member` is nil for a stranger.
local function visible_message(room, member, seq)
  if tonumber(seq) < oldest_visible_in(room, member) or tonumber(seq) > tonumber(room.seq) then return end
  return redis.call('LINDEX', room.messages, room.seq - seq) or nil
end
