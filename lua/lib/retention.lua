-- Drops the messages that the retention no longer allows. They are always the oldest of a conversation.
--- @include "lib/message"

-- Finds the messages to drop. It writes nothing, so that a script can still refuse; lib/commit drops them. The
-- rest of the script treats them as dropped.
--
-- conversation  as load_conversation returns it. Changes the counts of its users; `dropped`, the number of
--               messages; `dropped_up_to`, the seq of the newest; `uncounted`, true if one was unread
-- retention     keep|since: maximum number of messages (0 for no maximum), and the time since which
--               messages are kept (RFC 3339; empty to keep them forever)
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
    -- All times have one form and one zone, so they compare as texts.
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
