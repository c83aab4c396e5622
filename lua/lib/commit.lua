-- The end of a script that changes a conversation: what it changed is written, and told to both users.
--- @include "lib/clock"
--- @include "lib/conversation"
--- @include "lib/inbox"
--- @include "lib/message"

-- Returns the marks of a user as they are stored, see lib/state.
local function marks_of(user)
  if user.erased then return 'erased|' .. user.cleared_up_to end
  return user.read .. '|' .. user.told_read .. '|' .. user.delivered .. '|' .. user.cleared_up_to .. '|' .. user.flags
    .. '|' .. user.muted_until
end

-- Returns with which event and message to tell one of the two of a change; nothing if the change is
-- none to that user. A change of a message that the user cleared must not bring its text back.
local function told_to(user, kind, message, uncounted)
  if user.erased then return end
  if message == '' or kind == 'message.created' then return kind, message end
  local seq = string.match(message, MESSAGE_HEAD)
  if tonumber(seq) > tonumber(user.cleared_up_to) then return kind, message end
  if uncounted then return 'conversation.changed', '' end
end

-- Writes what changed of one of the two users, the count as it was stored given, and returns how the
-- user now sees the conversation: the version of its newest message, 0 if the user cleared it, and
-- the entry.
local function commit_user(conversation, user, peer, active, count, marks_changed)
  if marks_changed then
    redis.call('HSET', conversation.meta, 'user:' .. user.id, marks_of(user))
  end
  if user.unread ~= (count or '0') then
    if user.unread == '0' then
      redis.call('HDEL', conversation.unread, user.id)
    else
      redis.call('HSET', conversation.unread, user.id, user.unread)
    end
  end
  local cleared = user.cleared_up_to ~= '0' and tonumber(user.cleared_up_to) >= tonumber(conversation.seq)
  return cleared and '0' or active, entry_of(conversation, user, peer)
end

-- Writes a changed conversation with its next version, updates the inboxes of its users and tells
-- their devices. Drops the messages that are older than they may be; if one of them was unread, that is
-- a change too.
--
-- change     nil if there is none, else
--   kind     type of the event that tells of it
--   message  JSON of the message that it is about; empty if it is about none
--   active   for a new message: 'now', or when it was sent, in microseconds since 1970
--   marks    whose marks changed: nil, 'user' or 'both'
--   private  true if it concerns the user and not the peer
--   erases   true if the user is being erased
-- charge  as charge_rate returns it
-- reply   what to answer; nil for [entry, newest message]
--
-- Returns  the reply; if somebody was charged, [tokens left, milliseconds until the bucket is full, reply]
local function commit(conversation, change, charge, reply)
  local user, peer, counts = conversation.user, conversation.peer, conversation.counts
  -- A message that was appended may be one too many.
  if change and change.active and conversation.retention ~= '' then
    drop_old_messages(conversation, conversation.retention, DROPPED_BY_A_CHANGE)
  end
  if conversation.dropped > 0 then redis.call('LTRIM', conversation.messages, 0, -1 - conversation.dropped) end
  if not change and conversation.uncounted then change = {kind = 'conversation.changed', message = ''} end
  if change then
    local marks, kind, message, uncounted = change.marks, change.kind, change.message, conversation.uncounted
    local private = change.private and not uncounted
    -- The id of an erased user is used again: it acts, or gets a message.
    if user.erased and not change.erases and (marks or change.active) then
      user.erased, marks = nil, marks or 'user'
    end
    if peer.erased and change.active then peer.erased, marks = nil, 'both' end

    -- A hybrid clock: it orders the changes of a conversation, and still does after a failover that
    -- lost some of them.
    local version = now_us()
    if version <= conversation.version then version = string.format('%d', conversation.version + 1) end
    local active = change.active
    if active == 'now' then active = version end
    if not active then active = string.format('%d', conversation.version - conversation.age) end
    local age = active == version and '0' or string.format('%d', version - active)
    redis.call('HSET', conversation.meta, 'state',
      conversation.seq .. '|' .. version .. '|' .. age .. '|' .. conversation.imported)

    local user_active, user_entry = commit_user(conversation, user, peer, active, counts[1], marks)
    local peer_active, peer_entry = commit_user(conversation, peer, user, active, counts[2], marks == 'both')
    local user_kind, user_message = told_to(user, kind, message, uncounted)
    local user_event = user_kind and update_inbox(conversation.user_inbox, conversation.user_conversations,
      conversation.user_events, peer.id, version, user_active, user.unread, user.flags, user_entry, user_kind, user_message)
    local peer_kind, peer_message = told_to(peer, kind, message, uncounted)
    local peer_event = peer_kind and not private and update_inbox(conversation.peer_inbox, conversation.peer_conversations,
      conversation.peer_events, user.id, version, peer_active, peer.unread, peer.flags, peer_entry, peer_kind, peer_message)
    -- Publishing comes last: it may be refused, and what was written stays.
    if user_event then redis.call('PUBLISH', conversation.user_events, user_event) end
    if peer_event then redis.call('PUBLISH', conversation.peer_events, peer_event) end
  end
  if not reply then
    local cleared = tonumber(user.cleared_up_to) >= tonumber(conversation.seq)
    local newest = not cleared and redis.call('LINDEX', conversation.messages, 0)
    reply = {entry_of(conversation, user, peer), newest or ''}
  end
  if charge then return {charge[1], charge[2], reply} end
  return reply
end
