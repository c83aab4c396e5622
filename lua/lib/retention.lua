-- Drops the messages that the retention no longer allows. They are always the oldest of a conversation.
--- @include "lib/archive"
--- @include "lib/message"

-- Drops messages from the archive that exceed a maximum number. Those that are too old are dropped by
-- lua/archive/trim_archive.lua, because scripts do not know when they were sent.
--
-- limit, forget  as in find_old_messages
--
-- Returns  whether the archive still keeps some
local function drop_from_archive(conversation, keep, limit, forget)
  local archive = conversation.archive
  local from = archive.from
  local excess = keep == '0' and 0 or conversation.seq - from + 1 - keep
  local dropped = math.max(math.min(conversation.hot_from - from, limit, excess), 0)
  for seq = from, from + dropped - 1 do
    if forget then
      local author = author_in(segment_at(conversation, seq), seq)
      local is_user = author == author_of(conversation, conversation.user.id)
      forget(seq, is_user and conversation.user.id or nil, author == BY_NOBODY and TOMBSTONE or nil)
    end
  end
  if dropped > 0 then
    archive.from, archive.sent_at, archive.dropped = from + dropped, '', archive.dropped + dropped
    conversation.dropped_up_to = archive.from - 1
  end
  return archive.from < conversation.hot_from
end

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
  -- What is in the archive is older, and is dropped first.
  local archive = archive_of(conversation, length)
  if archive then
    if drop_from_archive(conversation, keep, limit - archive.dropped, forget) then return end
    limit = limit - archive.dropped
  end
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
