-- A conversation as a script works on it. Numbers are text, as Redis stores them: converting each to a
-- number and back takes longer than a write.
--- @include "lib/retention"
--- @include "lib/state"

-- Returns what is kept of one of the two users: id, unread count and marks.
local function participant(id, unread, marks)
  local read, told_read, delivered, cleared_up_to, flags, muted_until = '0', '0', '0', '0', NO_FLAGS, '0'
  local erased_up_to = marks and string.match(marks, ERASED_MARKS)
  if erased_up_to then
    read, cleared_up_to = erased_up_to, erased_up_to
  elseif marks then
    read, told_read, delivered, cleared_up_to, flags, muted_until = string.match(marks, MARKS)
  end
  return {
    id = id, unread = unread or '0', read = read, told_read = told_read, delivered = delivered,
    cleared_up_to = cleared_up_to, flags = flags, muted_until = muted_until, erased = erased_up_to and true,
  }
end

-- Returns the conversation of two users: its keys, its state, as `user` and `peer` the one who acts and
-- the other one, and as `counts` the unread counts of both as they are stored. Messages that are older
-- than `retention` says are as good as gone; it is empty to keep everything.
local function load_conversation(messages, unread, meta, user, user_inbox, user_conversations, user_events,
  peer, peer_inbox, peer_conversations, peer_events, retention)
  local stored = redis.call('HMGET', meta, 'state', 'user:' .. user, 'user:' .. peer)
  local counts = redis.call('HMGET', unread, user, peer)
  local seq, version, age, imported = string.match(stored[1] or '0|0|0|0', STATE)
  local conversation = {
    messages = messages, unread = unread, meta = meta,
    user_inbox = user_inbox, user_conversations = user_conversations, user_events = user_events,
    peer_inbox = peer_inbox, peer_conversations = peer_conversations, peer_events = peer_events,
    seq = seq, version = version, age = age, imported = imported, counts = counts,
    user = participant(user, counts[1], stored[2]), peer = participant(peer, counts[2], stored[3]),
    retention = retention, dropped = 0, dropped_up_to = 0,
  }
  if retention ~= '' then drop_old_messages(conversation, retention, DROPPED_BY_A_CHANGE) end
  return conversation
end

-- Returns the seq of the oldest message that one of the two can see.
local function oldest_visible(conversation, user)
  local gone = math.max(conversation.seq - redis.call('LLEN', conversation.messages), conversation.dropped_up_to)
  return math.max(gone, tonumber(user.cleared_up_to)) + 1
end

-- Returns how one of the two sees the conversation, as it stands in the row, see lib/row.
local function entry_of(conversation, user, peer)
  -- What was read was received.
  local peer_read, delivered = peer.told_read, peer.delivered
  if delivered ~= peer_read and tonumber(delivered) < tonumber(peer_read) then delivered = peer_read end
  local entry = user.unread .. '|' .. user.flags .. '|' .. conversation.seq .. '|' .. user.read .. '|' .. peer_read
    .. '|' .. delivered
  if user.muted_until ~= '0' then entry = entry .. '|' .. user.muted_until end
  return entry
end
