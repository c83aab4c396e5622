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
  local user = {
    id = id, unread = unread, read = '0', told_read = '0', delivered = '0', cleared_up_to = '0', flags = NO_FLAGS,
    muted_until = '0', inbox = inbox, conversations = conversations, events = events, marks = marks,
  }
  if marks == '' then return user end
  local read, told_read, delivered, more = string.match(marks, '^(%d+)|(%d+)|(%d+)(.*)$')
  if not read then
    user.erased, user.read = true, string.match(marks, '^erased|(%d+)$')
    user.cleared_up_to = user.read
    return user
  end
  user.read, user.told_read, user.delivered = read, told_read, delivered
  if more ~= '' then
    user.cleared_up_to, user.flags, user.muted_until = string.match(more, '^|(%d+)|(%d+)|(%d+)$')
    if user.muted_until ~= '0' and now_us() / 1000 >= tonumber(user.muted_until) then
      user.flags, user.muted_until = with_flag(user.flags, MUTED, '0'), '0'
    end
  end
  return user
end

-- Whether a user is the second of a pair, with which the names of its keys end.
local function is_second(key, user)
  return string.find(key, ',' .. user, -#user - 1, true) ~= nil
end

-- Returns the seq of the newest message, '0' if there is none, and one of the two users without keys and unread count.
local function load_participant(meta, user)
  local seq, _, _, _, _, _, marks, second_marks = string.match(redis.call('HGET', meta, 'state') or NO_STATE, STATE)
  if is_second(meta, user) then marks = second_marks end
  return seq, participant(user, nil, marks)
end

-- Returns the conversation of two users: its keys, its state, and its users, `user` who acts and `peer`.
-- Messages older than `retention` allows count as dropped; an empty `retention` keeps everything. On a cluster,
-- all six keys of users are the key of the outbox.
local function load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
  local seq, version, age, imported, user_unread, peer_unread, user_marks, peer_marks =
    string.match(redis.call('HGET', meta, 'state') or NO_STATE, STATE)
  local is_first = is_second(meta, peer)
  if not is_first then
    user_unread, peer_unread, user_marks, peer_marks = peer_unread, user_unread, peer_marks, user_marks
  end
  local conversation = {
    messages = messages, meta = meta, seq = seq, version = version, age = age, imported = imported,
    user = participant(user, user_unread, user_marks, user_inbox, user_conversations, user_events),
    peer = participant(peer, peer_unread, peer_marks, peer_inbox, peer_conversations, peer_events),
    is_first = is_first, feed = feed, retention = retention, dropped = 0, dropped_up_to = 0,
  }
  if user_inbox == peer_inbox then conversation.outbox = user_inbox end
  if seq == '0' then
    -- Without a message, only a user who has set something has a row.
    if user_marks == '' then conversation.user.base = '0' end
    if peer_marks == '' then conversation.peer.base = '0' end
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
