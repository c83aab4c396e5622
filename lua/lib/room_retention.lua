-- Drops the messages of a room that the retention no longer allows.
--- @include "lib/message"

-- Finds the messages to drop, as drop_old_messages of lib/retention does for a pair; lib/commit_room drops them.
--
-- room       as load_room returns it. Changes `dropped`, the number of messages, and `dropped_up_to`, the seq of the
--            newest
-- retention  keep|since, see lib/retention
-- limit      maximum number of messages to drop; nil for what a change of the room drops
local function drop_old_room_messages(room, retention, limit)
  limit = limit or 16
  local keep, since = string.match(retention, '^(%d+)|(.*)$')
  local length = redis.call('LLEN', room.messages)
  local excess = keep == '0' and 0 or length - keep
  local dropped = room.dropped
  while dropped < math.min(length, limit) do
    local message = redis.call('LINDEX', room.messages, -1 - dropped)
    local _, sent_at = string.match(message, MESSAGE_ENVELOPE)
    if dropped >= excess and (since == '' or sent_at >= since) then break end
    dropped = dropped + 1
    room.dropped_up_to = tonumber((string.match(message, MESSAGE_HEAD)))
  end
  room.dropped = dropped
end
