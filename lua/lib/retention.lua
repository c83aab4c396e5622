-- Dropping what is older than it may be, from the oldest end of a conversation and nowhere else.
--- @include "lib/message"

-- Drops messages, and counts those no longer that were not read yet.
--
-- conversation  as load_conversation returns it; the counts of its users change
-- retention     keep|since: messages to keep at most (0 for all), and the time since when messages
--               are kept (RFC 3339; empty for ever)
-- limit         messages to drop, at most
--
-- Returns  how many were dropped, and whether one of them was unread
local function drop_old_messages(conversation, retention, limit)
  local keep, since = string.match(retention, '^(%d+)|(.*)$')
  local messages, user, peer = conversation.messages, conversation.user, conversation.peer
  local length = redis.call('LLEN', messages)
  local excess = keep == '0' and 0 or length - keep
  local dropped, uncounted = 0, false
  while dropped < math.min(length, limit) do
    local message = redis.call('LINDEX', messages, -1 - dropped)
    local _, sent_at = string.match(message, MESSAGE_ENVELOPE)
    -- Times of one form and one zone are in the order of their texts.
    if dropped >= excess and (since == '' or sent_at >= since) then break end
    dropped = dropped + 1
    local seq, from, next_member = string.match(message, MESSAGE_HEAD)
    local reader = from == user.id and peer or user
    if next_member ~= TOMBSTONE and tonumber(seq) > tonumber(reader.read) and reader.unread ~= '0' then
      reader.unread, uncounted = string.format('%d', reader.unread - 1), true
    end
  end
  if dropped > 0 then redis.call('LTRIM', messages, 0, -1 - dropped) end
  return dropped, uncounted
end
