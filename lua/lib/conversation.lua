-- The state of a conversation while a script runs. Numbers stay text, as Redis stores them, because
-- converting one and back takes as long as a write.
--- @include "lib/archive"
--- @include "lib/clock"
--- @include "lib/flags"
--- @include "lib/retention"
--- @include "lib/state"

-- Returns one of the two users: id, unread count and marks as they are stored, and the keys of the inbox. A mute
-- whose time is over is none, even if lua/conversations/end_mute.lua has not run yet.
local function participant(id, unread, marks, inbox, conversations, events)
  local read, told_read, delivered, cleared_up_to, flags, muted_until = '0', '0', '0', '0', NO_FLAGS, '0'
  local erased_up_to = marks and string.match(marks, '^erased|(%d+)$')
  if erased_up_to then
    read, cleared_up_to = erased_up_to, erased_up_to
  elseif marks then
    read, told_read, delivered, cleared_up_to, flags, muted_until =
      string.match(marks, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$')
    if muted_until ~= '0' and now_us() / 1000 >= tonumber(muted_until) then
      flags, muted_until = with_flag(flags, MUTED, '0'), '0'
    end
  end
  local user = {
    id = id, unread = unread or '0', read = read, told_read = told_read, delivered = delivered,
    cleared_up_to = cleared_up_to, flags = flags, muted_until = muted_until,
    inbox = inbox, conversations = conversations, events = events,
  }
  if erased_up_to then user.erased = true end
  return user
end

-- Returns the conversation of two users: its keys, its state, and its users, `user` who acts and `peer`.
-- Messages older than `retention` allows count as dropped; an empty `retention` keeps everything. On a cluster,
-- all six keys of users are the key of the outbox.
local function load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
  local stored = redis.call('HMGET', meta, 'state', 'user:' .. user, 'user:' .. peer)
  local seq, version, age, imported, user_unread, peer_unread =
    string.match(stored[1] or '0|0|0|0|0|0', '^(%d+)|(%d+)|(-?%d+)|(%d+)|(%d+)|(%d+)$')
  -- The counts are in the order of the pair, which is the end of the name of the key.
  local is_first = string.sub(messages, -#peer - 1) == ',' .. peer
  if not is_first then user_unread, peer_unread = peer_unread, user_unread end
  local conversation = {
    messages = messages, meta = meta, seq = seq, version = version, age = age, imported = imported,
    user = participant(user, user_unread, stored[2], user_inbox, user_conversations, user_events),
    peer = participant(peer, peer_unread, stored[3], peer_inbox, peer_conversations, peer_events),
    is_first = is_first, feed = feed, retention = retention, dropped = 0, dropped_up_to = 0,
  }
  if user_inbox == peer_inbox then conversation.outbox = user_inbox end
  if seq == '0' then
    -- Without a message, only a user who has set something has a row.
    if not stored[2] then conversation.user.base = '0' end
    if not stored[3] then conversation.peer.base = '0' end
  end
  if retention ~= '' then drop_old_messages(conversation, retention) end
  return conversation
end

-- Returns the seq of the oldest message that one of the two users can see.
local function oldest_visible(conversation, user)
  local gone = math.max(oldest_kept(conversation) - 1, conversation.dropped_up_to)
  return math.max(gone, tonumber(user.cleared_up_to)) + 1
end

-- Returns the entry of the conversation in a user's inbox, see lib/row.
local function entry_of(conversation, user, peer)
  -- Messages that were read count as delivered.
  local peer_read, delivered = peer.told_read, peer.delivered
  if delivered ~= peer_read and tonumber(delivered) < tonumber(peer_read) then delivered = peer_read end
  local entry = user.unread .. '|' .. user.flags .. '|' .. conversation.seq .. '|' .. user.read .. '|' .. peer_read
    .. '|' .. delivered
  if user.muted_until ~= '0' then entry = entry .. '|' .. user.muted_until end
  return entry
end
