-- Dropping what is older than it may be, from the oldest end of a conversation and nowhere else.
--- @include "lib/message"

-- Finds messages to drop and counts those no longer that were not read yet. It writes nothing, so a
-- script may still refuse; lib/commit drops them. Whatever a script decides behind it, it decides as
-- if they were gone.
--
-- conversation  as load_conversation returns it. What changes: the counts of its users; `dropped`, how
--               many there are; `dropped_up_to`, the seq of the newest; `uncounted`, true if one was unread
-- retention     keep|since: messages to keep at most (0 for all), and the time since when messages
--               are kept (RFC 3339; empty for ever)
-- limit         maximum number of messages to drop; nil for what a change of the conversation drops
local function drop_old_messages(conversation, retention, limit)
  limit = limit or 16
  local keep, since = string.match(retention, '^(%d+)|(.*)$')
  local messages, user, peer = conversation.messages, conversation.user, conversation.peer
  local length = redis.call('LLEN', messages)
  local excess = keep == '0' and 0 or length - keep
  local dropped = conversation.dropped
  while dropped < math.min(length, limit) do
    local message = redis.call('LINDEX', messages, -1 - dropped)
    local _, sent_at = string.match(message, MESSAGE_ENVELOPE)
    -- Times of one form and one zone are in the order of their texts.
    if dropped >= excess and (since == '' or sent_at >= since) then break end
    dropped = dropped + 1
    local seq, from, next_member = string.match(message, MESSAGE_HEAD)
    local reader = from == user.id and peer or user
    if next_member ~= TOMBSTONE and tonumber(seq) > tonumber(reader.read) and reader.unread ~= '0' then
      reader.unread = string.format('%d', reader.unread - 1)
      conversation.uncounted = true
    end
    conversation.dropped_up_to = tonumber(seq)
  end
  conversation.dropped = dropped
end
