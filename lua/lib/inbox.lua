-- A user's inbox: its rows, its totals, its order, and the events of the user.
--- @include "lib/event"
--- @include "lib/order"

-- Events that are kept of a user who listens, at least: what a device resumes from that was away.
local EVENTS_KEPT = 512

-- Writes how a user sees a conversation into the user's inbox. It takes absolute state and keeps the
-- newer one, so it may be repeated, late or out of order.
--
-- version  that of the conversation
-- active   version of its newest message; 0 if the inbox is not to list it
-- unread   messages not yet read, and flags of the user, with which the entry begins
-- kind     type of the event to tell of it, and message, the JSON that it is about or empty
--
-- Returns  the event, if there is one to publish
local function update_inbox(inbox, conversations, events, peer, version, active, unread, flags, entry, kind, message)
  local stored = redis.call('HMGET', conversations, TOTALS_FIELD, peer)
  local prev, total, unread_conversations, muted, on_top, listening = string.match(stored[1] or NO_TOTALS, TOTALS)
  local old_version, old_offset, old_active, old_unread, old_flags = parse_row(stored[2])

  -- A hybrid clock like the version, which it follows. It is never behind the version of a row, so
  -- what is newer than all that was written is newer than what was written of this conversation.
  local offset, ahead = version, '0'
  if version <= prev then
    if version <= old_version then return end
    offset = string.format('%d', prev + 1)
    ahead = string.format('%d', offset - version)
  end

  if unread ~= old_unread or flags ~= old_flags then
    local now, now_muted = counted(unread, flags)
    local before, before_muted = counted(old_unread, old_flags)
    total = string.format('%d', total + now - before)
    if now_muted ~= before_muted then muted = string.format('%d', muted + now_muted - before_muted) end
    if (now == 0) ~= (before == 0) then
      unread_conversations = string.format('%d', unread_conversations + (now == 0 and -1 or 1))
    end
  end

  -- A conversation that is on top stays there when it gets another message: nothing to write.
  if old_offset ~= prev then on_top = '0' end
  local age = '0'
  if active ~= version then age = active == '0' and '' or string.format('%d', version - active) end
  if active ~= old_active then
    if age ~= '0' or ahead ~= '0' then
      place_by_age(inbox, conversations, peer, active)
      on_top = '0'
    elseif on_top == '0' then
      redis.call('ZADD', inbox, active, peer)
      on_top = '1'
    end
  end

  local event
  if listening == '1' then
    local epoch = redis.call('HGET', conversations, EPOCH_FIELD)
    event = format_event(kind, epoch .. '-' .. offset, epoch .. '-' .. prev, peer, entry, total, unread_conversations, muted, message)
    local kept = redis.call('LPUSHX', events, event)
    if kept == 0 then
      -- The user has not listened for so long that the events are gone.
      listening, event = '0', nil
    elseif kept % 64 == 0 then
      redis.call('LTRIM', events, 0, EVENTS_KEPT - 1)
    end
  end

  redis.call('HSET', conversations, TOTALS_FIELD, offset .. '|' .. total .. '|' .. unread_conversations .. '|' .. muted
    .. '|' .. on_top .. '|' .. listening, peer, version .. '|' .. ahead .. '|' .. age .. '|' .. entry)
  return event
end

-- Takes a conversation out of a user's inbox: what is unread in it leaves the totals, then its row goes.
-- version and entry are those of update_inbox, the entry without unread messages.
local function remove_from_inbox(inbox, conversations, events, peer, version, entry)
  if redis.call('HEXISTS', conversations, peer) == 0 then return end
  update_inbox(inbox, conversations, events, peer, version, '0', '0', NO_FLAGS, entry, 'conversation.changed', '')
  redis.call('HDEL', conversations, peer)
end
