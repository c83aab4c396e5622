-- The row of a room in the inbox of a member.
--
-- A row has two versions: that of its state, and that of the last event that was filed. The state is absolute and the
-- newer one wins; events are filed once each, in order. So both may come late or twice: a read that overtakes a
-- message loses neither the event of the message nor its own state.
--- @include "lib/inbox"
--- @include "lib/message"
--- @include "lib/room"

-- Returns what the row of a user says at a state of the room.
--
-- room    as parse_room_state returns it
-- record  of the members hash; left|since|version if the user has left
local function room_row(room, user, record)
  local since, left = string.match(record, '^left|(%d+)|(%d+)$')
  if since then
    return {
      version = room.version, since = since, left = left, mark = 'x', hidden_up_to = 0, unread = '0', flags = NO_FLAGS,
      active = '0', entry = '0|' .. NO_FLAGS .. '|' .. room.seq .. '|' .. room.seq .. '|0|0',
    }
  end
  local member = parse_member(user, record, room)
  local entry, sees_any = room_entry(room, member), oldest_visible_in(room, member) <= tonumber(room.seq)
  return {
    version = room.version, since = member.since, mark = sees_any and 'r' or 'n',
    hidden_up_to = math.max(tonumber(member.floor), tonumber(member.cleared_up_to)),
    unread = string.match(entry, '^%d+'), flags = member.flags, active = room_place(room, member), entry = entry,
  }
end

-- Formats the events to keep, of which the first one has this offset. If the event is about all members, it is about
-- the owner.
local function format_member_events(owner, name, told, offset, prev, entry, total, unread_conversations, muted)
  local epoch, events = redis.call('HGET', owner.conversations, EPOCH_FIELD), {}
  for i, event in ipairs(told) do
    local json = format_event(event.kind, epoch .. '-' .. offset, epoch .. '-' .. prev, name, entry, total,
      unread_conversations, muted, event.message)
    local user = event.user
    if user == '' and event.kind == 'room.left' then user = owner.id end
    if user ~= '' then json = string.sub(json, 1, -2) .. ',"user":"' .. user .. '"}' end
    events[i] = json
    prev, offset = offset, string.format('%d', offset + 1)
  end
  return events
end

-- Files events of a room, and its state, in the inbox of a member.
--
-- owner   whose inbox it is: `id`, and the keys `inbox`, `conversations` and `events`
-- row     as room_row returns it
-- events  list of {version, kind, message, user, seq}: the events, oldest first; seq is that of the message, or nil
-- kind    type of the event if only the member has changed; empty if nothing is told but the events
--
-- Returns  the events to publish
local function update_room_inbox(owner, name, row, events, kind)
  local conversations = owner.conversations
  local stored = redis.call('HMGET', conversations, TOTALS_FIELD, name)
  local prev, total, unread_conversations, muted, on_top, listening = string.match(stored[1] or NO_TOTALS, TOTALS)
  local version, old_offset, old_active, old_unread, old_flags, entry_at, mark = parse_row(stored[2])
  local entry, filed = string.sub(stored[2] or '', entry_at), '0'
  if mark ~= '' then
    filed = string.format('%d', version - string.sub(mark, 2))
    mark = string.sub(mark, 1, 1)
  end
  local is_newer, had_filed, told = row.version > version, filed, {}

  for _, event in ipairs(events) do
    if event.version > filed and event.version > row.since and (not row.left or event.version <= row.left) then
      filed = event.version
      -- What happens to a message that the member does not see is not told.
      if not event.seq or event.seq > row.hidden_up_to then told[#told + 1] = event end
    end
  end
  if not is_newer and filed == had_filed then return {} end
  local active, unread, flags = old_active, old_unread, old_flags
  if is_newer then
    local changed = entry ~= row.entry or active ~= row.active or mark ~= row.mark
    if kind == '' and changed and #told == 0 then kind = 'conversation.changed' end
    if kind ~= '' then told[#told + 1] = {kind = kind, message = '', user = ''} end
    version, active, entry, unread, flags, mark =
      row.version, row.active, row.entry, row.unread, row.flags, row.mark
  end

  -- Offsets increase, and no row has a place above the last one.
  local first = version > prev and version or string.format('%d', prev + 1)
  local offset = #told == 0 and prev or string.format('%d', first + #told - 1)
  if unread ~= old_unread or flags ~= old_flags then
    total, unread_conversations, muted =
      move_totals(conversations, old_unread, old_flags, unread, flags, total, unread_conversations, muted)
  end
  if old_offset ~= prev then on_top = '0' end
  if active ~= old_active then
    if active <= prev or has_flag(flags, PINNED) then
      place_by_age(owner.inbox, conversations, name, active)
      on_top = '0'
    elseif on_top == '0' then
      redis.call('ZADD', owner.inbox, active, name)
      on_top = '1'
    end
  end

  local kept_events = {}
  if listening == '1' and #told > 0 then
    kept_events =
      format_member_events(owner, name, told, first, prev, entry, total, unread_conversations, muted)
    local kept = redis.call('LPUSHX', owner.events, unpack(kept_events))
    if kept == 0 then
      listening, kept_events = '0', {}
    elseif kept % 64 < #kept_events then
      redis.call('LTRIM', owner.events, 0, 512 - 1)
    end
  end

  local age = active == '0' and '' or string.format('%d', version - active)
  local ahead = string.format('%d', (#told == 0 and old_offset or offset) - version)
  redis.call('HSET', conversations, TOTALS_FIELD, offset .. '|' .. total .. '|' .. unread_conversations .. '|' .. muted
    .. '|' .. on_top .. '|' .. listening, name,
    version .. '|' .. ahead .. '|' .. age .. mark .. string.format('%d', version - filed) .. '|' .. entry)
  return kept_events
end
