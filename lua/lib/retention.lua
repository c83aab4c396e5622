-- Drops the messages that the retention no longer allows. They are always the oldest of a conversation.
--- @include "lib/message"

-- Finds the messages to drop. It writes nothing, so that a script can still refuse; lib/commit and lib/commit_room
-- drop them. The rest of the script treats them as dropped.
--
-- conversation  of two users as load_conversation returns it, or a room as load_room does. Changes `dropped`, the
--               number of messages, and `dropped_up_to`, the seq of the newest
-- retention     keep|since: maximum number of messages (0 for no maximum), and the time since which
--               messages are kept (RFC 3339; empty to keep them forever)
-- limit         maximum number of messages to drop; nil for what a change of the conversation drops
-- forget        called with the seq of each, its sender and the name of its next member; nil if none counts
local function find_old_messages(conversation, retention, limit, forget)
  limit = limit or 16
  local keep, since = string.match(retention, '^(%d+)|(.*)$')
  local messages, dropped = conversation.messages, conversation.dropped
  local length = redis.call('LLEN', messages)
  local excess = keep == '0' and 0 or length - keep
  while dropped < math.min(length, limit) do
    local message = redis.call('LINDEX', messages, -1 - dropped)
    local _, sent_at = string.match(message, MESSAGE_ENVELOPE)
    -- All times have one form and one zone, so they compare as texts.
    if dropped >= excess and (since == '' or sent_at >= since) then break end
    dropped = dropped + 1
    local seq, from, next_member = string.match(message, MESSAGE_HEAD)
    if forget then forget(seq, from, next_member) end
    conversation.dropped_up_to = tonumber(seq)
  end
  conversation.dropped = dropped
end

-- Finds the messages of two users to drop. Those that were unread no longer count: changes the counts of the users, and
-- `uncounted` of the conversation, true if there were some.
local function drop_old_messages(conversation, retention, limit)
  local user, peer = conversation.user, conversation.peer
  find_old_messages(conversation, retention, limit, function(seq, from, next_member)
    local reader = from == user.id and peer or user
    if next_member ~= TOMBSTONE and tonumber(seq) > tonumber(reader.read) and reader.unread ~= '0' then
      reader.unread = string.format('%d', reader.unread - 1)
      conversation.uncounted = true
    end
  end)
end
