-- A user's inbox: its rows, its totals, its order, and the events of the user.
--- @include "lib/badges"
--- @include "lib/clock"
--- @include "lib/event"
--- @include "lib/order"

-- How many events of a user are kept at least, and after how many more they are trimmed. A device that was away resumes
-- from them.
local KEPT_EVENTS, TRIM_STEP = 512, 64

-- Returns the totals of a user after a row has changed: unread messages, conversations with some, and those in muted
-- conversations. Counts the pinned rows.
local function move_totals(conversations, old_unread, old_flags, unread, flags, total, unread_conversations, muted)
  local now, now_muted, before, before_muted = tonumber(unread), 0, tonumber(old_unread), 0
  if flags ~= NO_FLAGS then now, now_muted = counted(unread, flags) end
  if old_flags ~= NO_FLAGS then before, before_muted = counted(old_unread, old_flags) end
  total = string.format('%d', total + now - before)
  if now_muted ~= before_muted then muted = string.format('%d', muted + now_muted - before_muted) end
  if (now == 0) ~= (before == 0) then
    unread_conversations = string.format('%d', unread_conversations + (now == 0 and -1 or 1))
  end
  if flags ~= old_flags and has_flag(flags, PINNED) ~= has_flag(old_flags, PINNED) then
    redis.call('HINCRBY', conversations, PINNED_FIELD, has_flag(flags, PINNED) and 1 or -1)
  end
  return total, unread_conversations, muted
end

-- Writes the row of a conversation, the totals and the order of a user's inbox, and keeps an event for
-- the user's devices. Takes absolute state and keeps the newer one, so it may be repeated, late or out
-- of order. If the row missed a change before this one, the event is a `conversation.changed`.
--
-- owner    whose inbox it is: the keys `inbox`, `conversations` and `events`, and of the conversation the
--          `unread` count and the `flags`, with which the entry begins; `writes` is true if the owner now
--          writes to the peer; `id`, `badges` and `leases` if the badges of the partition are read, see
--          lib/badges. If the update can be late: `forgotten`, the key that says up to which version the
--          conversation was forgotten, '' if it is not given
-- version  that of the conversation; base, the version before this change, '0' if the user had no row; empty
--          if it is unknown
-- active   its place in the inbox, see lib/order; 0 if the inbox does not list it
-- kind     type of the event; empty if the user is not told, and the row only takes the version
-- message  JSON of the message that changed, or empty
--
-- Returns  the event to publish, if any, and what was done: exact; gap, if the row missed a change; silent, if
--          the user is not told; stale, if the row is newer and nothing was done; absent, if there is no row, and
--          only `forgotten` tells whether there may be one
local function update_inbox(owner, peer, version, base, active, entry, kind, message)
  local conversations, unread, flags = owner.conversations, owner.unread, owner.flags
  local stored = redis.call('HMGET', conversations, TOTALS_FIELD, peer)
  local prev, total, unread_conversations, muted, on_top, listening = string.match(stored[1] or NO_TOTALS, TOTALS)
  local old_version, old_offset, old_active, old_unread, old_flags, _, written = parse_row(stored[2])

  if owner.forgotten and not stored[2] then
    if owner.forgotten == '' then return nil, 'absent' end
    -- The row was removed after this update was sent.
    if version <= (redis.call('GET', owner.forgotten) or '0') then return nil, 'stale' end
  end

  local outcome, cause, changed, old_total, old_muted = kind == '' and 'silent' or 'exact', kind, message, total, muted
  if old_version ~= base then
    if version <= old_version then return nil, 'stale' end
    kind, message, outcome = 'conversation.changed', '', 'gap'
  end

  -- The offset is a hybrid clock like the version.
  local offset, ahead = version, '0'
  if outcome == 'silent' then
    -- The row keeps the offset of the last change that the user was told, which becomes smaller than its version.
    -- So `ahead` is negative; only the sum of the two is ever used, and it is exact.
    offset = prev
    ahead = string.format('%d', old_offset - version)
  else
    -- A repeated update has the version of its change. An event of that offset may be one that a failover lost, and
    -- a device could resume after it without missing anything.
    local now = base == '' and now_us()
    if now and now > offset then offset = now end
    if offset <= prev then offset = string.format('%d', prev + 1) end
    if offset ~= version then ahead = string.format('%d', offset - version) end
  end

  if unread ~= old_unread or flags ~= old_flags then
    total, unread_conversations, muted =
      move_totals(conversations, old_unread, old_flags, unread, flags, total, unread_conversations, muted)
  end

  -- The top conversation of those that are not pinned stays there with another message: its score need
  -- not be written.
  if old_offset ~= prev then on_top = '0' end
  local age = '0'
  if active ~= version then age = active == '0' and '' or string.format('%d', version - active) end
  if active ~= old_active then
    if age ~= '0' or ahead ~= '0' then
      place_by_age(owner.inbox, conversations, peer, active)
      on_top = '0'
    elseif on_top == '0' then
      redis.call('ZADD', owner.inbox, active, peer)
      on_top = '1'
    end
  end

  local event
  if listening == '1' and outcome ~= 'silent' then
    local epoch = redis.call('HGET', conversations, EPOCH_FIELD)
    event = format_event(kind, epoch .. '-' .. offset, epoch .. '-' .. prev, peer, entry, total, unread_conversations, muted, message)
    local kept = redis.call('LPUSHX', owner.events, event)
    if kept == 0 then
      -- The user has not listened for a week, and the events have expired.
      listening, event = '0', nil
    elseif kept % TRIM_STEP == 0 then
      redis.call('LTRIM', owner.events, 0, KEPT_EVENTS - 1)
    end
  end

  redis.call('HSET', conversations, TOTALS_FIELD, offset .. '|' .. total .. '|' .. unread_conversations .. '|' .. muted
    .. '|' .. on_top .. '|' .. listening, peer,
    version .. '|' .. ahead .. '|' .. age .. (owner.writes and 'w' or written) .. '|' .. entry)
  if owner.badges then
    owner.listening = listening
    local is_new = cause == 'message.created' and not owner.writes and unread ~= '0'
    if is_new or total ~= old_total or muted ~= old_muted then
      if cause == '' or cause == 'message.created' and not is_new then cause, changed = 'conversation.changed', '' end
      append_badge(owner, offset, total, unread_conversations, muted, peer, unread, flags,
        {kind = cause, message = changed})
    end
  end
  return event, outcome
end
