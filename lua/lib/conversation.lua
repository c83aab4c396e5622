-- A conversation as a script works on it. Numbers are text, as Redis stores them: converting each to a
-- number and back takes longer than a write.
--- @include "lib/state"

-- Returns what is kept of one of the two users: id, unread count and marks.
local function participant(id, unread, marks)
  local read, told_read, delivered, cleared_up_to, muted, blocked = '0', '0', '0', '0', '0', '0'
  local erased_up_to = marks and string.match(marks, ERASED_MARKS)
  if erased_up_to then
    read, cleared_up_to = erased_up_to, erased_up_to
  elseif marks then
    read, told_read, delivered, cleared_up_to, muted, blocked = string.match(marks, MARKS)
  end
  return {
    id = id, unread = unread or '0', read = read, told_read = told_read, delivered = delivered,
    cleared_up_to = cleared_up_to, muted = muted, blocked = blocked, erased = erased_up_to and true,
  }
end

-- Returns the conversation of two users: its keys, its state, as `user` and `peer` the one who acts and
-- the other one, and as `counts` the unread counts of both as they are stored.
local function load_conversation(messages, unread, meta, user, user_inbox, user_conversations, user_events,
  peer, peer_inbox, peer_conversations, peer_events)
  local stored = redis.call('HMGET', meta, 'state', 'user:' .. user, 'user:' .. peer)
  local counts = redis.call('HMGET', unread, user, peer)
  local seq, version, age, imported = string.match(stored[1] or '0|0|0|0', STATE)
  return {
    messages = messages, unread = unread, meta = meta,
    user_inbox = user_inbox, user_conversations = user_conversations, user_events = user_events,
    peer_inbox = peer_inbox, peer_conversations = peer_conversations, peer_events = peer_events,
    seq = seq, version = version, age = age, imported = imported, counts = counts,
    user = participant(user, counts[1], stored[2]), peer = participant(peer, counts[2], stored[3]),
  }
end

-- Returns how one of the two sees the conversation, as it stands in the row, see lib/row.
local function entry_of(conversation, user, peer)
  -- What was read was received.
  local peer_read, delivered = peer.told_read, peer.delivered
  if delivered ~= peer_read and tonumber(delivered) < tonumber(peer_read) then delivered = peer_read end
  return user.unread .. '|' .. conversation.seq .. '|' .. user.read .. '|' .. peer_read .. '|' .. delivered
    .. '|' .. user.muted .. '|' .. user.blocked
end
