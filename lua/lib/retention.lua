-- Drops the messages that the retention no longer allows. They are always the oldest of a conversation.
--- @include "lib/archive"
--- @include "lib/message"

-- Drops messages of the archive that exceed a maximum number, and those that the caller has found too old.
--
-- limit, forget, old  as in find_old_messages
--
-- Returns  whether the archive still keeps some
local function drop_from_archive(conversation, keep, limit, forget, old)
  local archive = conversation.archive
  local from, segment = archive.from, nil
  local known_from, old_up_to, sent_at = string.match(old or '', '^(%d+)|(%d+)|(.*)$')
  local is_known = known_from and tonumber(known_from) == from
  local excess = keep == '0' and 0 or conversation.seq - from + 1 - keep
  if is_known then excess = math.max(excess, old_up_to - from + 1) end
  local dropped = math.max(math.min(conversation.hot_from - from, limit, excess), 0)
  for seq = from, forget and from + dropped - 1 or 0 do
    if not segment or seq > segment.high then segment = segment_at(conversation, seq) end
    local author = author_in(segment, seq)
    local is_user = author == author_of(conversation, conversation.user.id)
    forget(seq, is_user and conversation.user.id or nil, author == BY_NOBODY and TOMBSTONE or nil)
  end
  if dropped > 0 or is_known then
    archive.from, archive.dropped, archive.changed = from + dropped, archive.dropped + dropped, true
    archive.sent_at = is_known and archive.from == old_up_to + 1 and sent_at or ''
  end
  if dropped > 0 then conversation.dropped_up_to = archive.from - 1 end
  return archive.from < conversation.hot_from
end

-- Returns the segment with the oldest message of the archive, if that may be too old, as stored_message returns what
-- the caller has to read; nil if it is not. Then the caller says which messages are too old, because scripts do not
-- know when they were sent.
local function old_segment(conversation, retention)
  local archive, since = archive_of(conversation), string.match(retention, '^%d+|(.*)$')
  if not archive or since == '' or archive.sent_at ~= '' and archive.sent_at >= since then return end
  local segment = segment_at(conversation, archive.from)
  return {archive.from, segment.low, segment.high, segment.object}
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
-- old           which messages of the archive are too old, as from|up_to|sent_at: seqs of the oldest that is kept and of
--               the newest that is too old, and when the next one was sent, empty if it is not known; nil if none are
local function find_old_messages(conversation, retention, limit, forget, old)
  limit = limit or 16
  local keep, since = string.match(retention, '^(%d+)|(.*)$')
  local messages, dropped = conversation.messages, conversation.dropped
  local length = redis.call('LLEN', messages)
  -- What is in the archive is older, and is dropped first.
  local archive = archive_of(conversation, length)
  if archive then
    if drop_from_archive(conversation, keep, limit - archive.dropped, forget, old) then return end
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
local function drop_old_messages(conversation, retention, limit, old)
  local user, peer = conversation.user, conversation.peer
  find_old_messages(conversation, retention, limit, function(seq, from, next_member)
    local reader = from == user.id and peer or user
    if next_member ~= TOMBSTONE and tonumber(seq) > tonumber(reader.read) and reader.unread ~= '0' then
      reader.unread = string.format('%d', reader.unread - 1)
      conversation.uncounted = true
    end
  end, old)
end
