-- The end of a script that changes a conversation: writes the change and publishes it to both users.
--- @include "lib/archive_change"
--- @include "lib/badges"
--- @include "lib/clock"
--- @include "lib/conversation"
--- @include "lib/feed"
--- @include "lib/inbox"
--- @include "lib/message"
--- @include "lib/outbox"

-- Returns the marks of a user as they are to be stored, see lib/state.
local function format_marks(user)
  if user.erased then return 'erased|' .. user.cleared_up_to end
  local marks = user.read .. '|' .. user.told_read .. '|' .. user.delivered
  if user.flags == NO_FLAGS and user.cleared_up_to == '0' and user.muted_until == '0' then return marks end
  return marks .. '|' .. user.cleared_up_to .. '|' .. user.flags .. '|' .. user.muted_until
end

-- Writes the conversation with its next version.
--
-- active  as in commit
-- marks   whose marks changed: nil, 'user' or 'both'
-- now     as now_us returns it, if it is known already
--
-- Returns  the version, and the version of the newest message
local function write_conversation(conversation, active, marks, now)
  local user, peer = conversation.user, conversation.peer
  -- A hybrid clock: versions increase even if the clock of Redis goes back, for example after a failover.
  local version = now or now_us()
  if version <= conversation.version then version = string.format('%d', conversation.version + 1) end
  local age = '0'
  if active == 'now' then
    active = version
  else
    active = active or string.format('%d', conversation.version - conversation.age)
    age = string.format('%d', version - active)
  end
  if marks then user.marks = format_marks(user) end
  if marks == 'both' then peer.marks = format_marks(peer) end
  local first, second, both = user, peer, ''
  if not conversation.is_first then first, second = peer, user end
  if user.marks ~= '' or peer.marks ~= '' then both = ';' .. first.marks .. ';' .. second.marks end
  redis.call('HSET', conversation.meta, 'state', conversation.seq .. '|' .. version .. '|' .. age .. '|'
    .. conversation.imported .. '|' .. first.unread .. '|' .. second.unread .. both)
  return version, active
end

-- Writes the row of one of the two users, who is told unless `tells` is false. Returns the event to publish, if any;
-- on a cluster, the arguments of lua/inbox/update_inbox.lua, if there is something to write.
local function write_row(conversation, user, peer, version, active, change, tells)
  if user.erased then return end
  local kind, message, cleared_up_to = tells and change.kind or '', change.message, user.cleared_up_to
  local base = change.repeats and '' or user.base or conversation.version
  if cleared_up_to ~= '0' then
    cleared_up_to = tonumber(cleared_up_to)
    if cleared_up_to >= tonumber(conversation.seq) then active = '0' end
    -- A change of a message that the user cleared is not published to the user's devices.
    if message ~= '' and tonumber((string.match(message, MESSAGE_SEQ))) <= cleared_up_to then
      kind, message = conversation.uncounted and 'conversation.changed' or '', ''
    end
  end
  -- Who was never told of anything has no row.
  if user.base and (kind == '' or change.repeats) then return end
  -- Pinned conversations come first, see lib/order.
  if user.flags ~= NO_FLAGS and active ~= '0' and has_flag(user.flags, PINNED) then
    active = string.format('%d', active + PINNED_FIRST)
  end
  local entry = entry_of(conversation, user, peer)
  if conversation.outbox then
    return {peer.id, version, base, active, entry, kind, message, user.writes and '1' or '0'}
  end
  return update_inbox(user, peer.id, version, base, active, entry, kind, message)
end

-- Looks who reads changes. Each user gets the keys of the badges if they are read. On a cluster they are elsewhere.
--
-- Returns  whether the feed of the partition may exist, and whether badges may be appended
local function find_readers(conversation)
  if conversation.outbox then return redis.call('EXISTS', conversation.feed) == 1 end
  local found = redis.call('EXISTS', SUBSCRIPTIONS, BADGE_SUBSCRIPTIONS)
  if found == 0 then return false end
  if found == 1 then return true end
  name_badges(conversation.user)
  name_badges(conversation.peer)
  return true, true
end

-- Appends a change to the feed of the partition, if it exists.
local function feed_change(conversation, change)
  local feed, kind, message, user = conversation.feed, change.kind, change.message, conversation.user
  if kind == 'message.created' then return append_to_feed(feed, kind, message) end
  local pair = pair_of(conversation)
  local name, value = 'delivered_seq', user.delivered
  if message ~= '' then
    name, value = 'message', message
  elseif kind == 'conversation.read' then
    name, value = 'read_seq', user.read
  end
  local by = change.expires and '' or ',"by":"' .. user.id .. '"'
  append_to_feed(feed, kind, pair, 'data', users_of(pair) .. by .. ',"last_seq":' .. conversation.seq .. ',"' .. name .. '":'
    .. value .. '}')
end

-- Returns the reply of a script that neither changes nor drops anything, in the form of commit.
local function unchanged(conversation, reply)
  return conversation.outbox and {reply} or reply
end

-- Writes a changed conversation with its next version, updates the inboxes of its users and publishes the
-- change to their devices. Drops messages that the retention no longer allows; if one of them was unread,
-- that is a change too.
--
-- change     nil if nothing changed, else
--   kind     type of the event
--   message  JSON of the message that changed; empty if none did
--   active   for a new message: 'now', or when it was sent, in microseconds since 1970
--   marks    whose marks changed: nil, 'user' or 'both'
--   private  true if the peer is not told
--   erases   true if the user is being erased
--   expires  true if nobody acts, because a message expires
--   repeats  true if nothing changed, and the inboxes are updated again
-- charge  as charge_rate returns it; nil if nobody is charged
-- reply   the reply of the script
--
-- Returns  the reply; if somebody was charged, [tokens left, milliseconds until the bucket is full, reply]. On a
--          cluster, [reply], or if inboxes are to be updated, [reply, version, update, update]: the arguments of
--          lua/inbox/update_inbox.lua for the user and for the peer, each nil if that inbox has no row; [reply,
--          'overdue'] if nothing changed and earlier updates have been unconfirmed for too long
local function commit(conversation, change, charge, reply)
  local user, peer = conversation.user, conversation.peer
  -- An appended message can exceed the limit of messages.
  if change and change.active and conversation.retention ~= '' then
    drop_old_messages(conversation, conversation.retention)
  end
  if conversation.dropped > 0 then redis.call('LTRIM', conversation.messages, 0, -1 - conversation.dropped) end
  if conversation.archive then save_archive(conversation) end
  if not change and conversation.uncounted then change = {kind = 'conversation.changed', message = ''} end
  if change then
    local marks = change.marks
    -- Somebody uses the id of an erased user again: acts, or receives a message.
    if user.erased and not change.erases and (marks or change.active) then
      user.erased, user.base, marks = nil, '0', marks or 'user'
    end
    if peer.erased and change.active then peer.erased, peer.base, marks = nil, '0', 'both' end

    local version, active
    if change.repeats then
      version, active = conversation.version, string.format('%d', conversation.version - conversation.age)
    else
      version, active = write_conversation(conversation, change.active, marks, charge and charge.now)
      if conversation.outbox then redis.call('ZADD', conversation.outbox, version, pair_of(conversation)) end
    end
    local has_feed, has_badges = find_readers(conversation)
    local user_event = write_row(conversation, user, peer, version, active, change, true)
    local tells_peer = not change.private or conversation.uncounted
    local peer_event = write_row(conversation, peer, user, version, active, change, tells_peer)
    -- Changes of settings are told to the devices of the user only.
    if has_feed and change.kind ~= 'conversation.changed' then feed_change(conversation, change) end
    if conversation.outbox then return {reply, version, user_event or false, peer_event or false} end
    -- Redis may refuse to publish (ACL). What was written stays, and devices find it in the journal.
    if user_event then redis.pcall('SPUBLISH', user.events, user_event) end
    if peer_event then redis.pcall('SPUBLISH', peer.events, peer_event) end
    if has_badges then
      publish_badge(user)
      publish_badge(peer)
    end
  elseif conversation.outbox then
    return {reply, is_overdue(conversation) and 'overdue'}
  end
  if charge then return {charge[1], charge[2], reply} end
  return reply
end
