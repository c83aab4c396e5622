-- The row of a room in the inbox of a member.
--
-- A row has two versions: that of its state, and that of the last event that was filed. The state is absolute and the
-- newer one wins; events are filed once each, in order. So both may come late or twice: a read that overtakes a
-- message loses neither the event of the message nor its own state.
--- @include "lib/badges"
--- @include "lib/inbox"
--- @include "lib/message"
--- @include "lib/room_row"

-- Keeps events for the devices of a member. The first one has this offset. An event about all members is about the
-- owner.
--
-- Returns  the events; nil if the member has not listened for a week
local function keep_member_events(owner, name, epoch, told, offset, prev, entry, total, unread_conversations, muted)
  local events = {}
  for i, event in ipairs(told) do
    local json = format_event(event.kind, epoch .. '-' .. offset, epoch .. '-' .. prev, name, entry, total,
      unread_conversations, muted, event.message)
    if string.sub(event.kind, 1, 5) == 'room.' then
      local user = event.user == '' and owner.id or event.user
      json = string.sub(json, 1, -2) .. ',"user":"' .. user .. '"}'
    end
    events[i] = json
    if i < #told then prev, offset = offset, string.format('%d', offset + 1) end
  end
  local kept = redis.call('LPUSHX', owner.events, unpack(events))
  if kept == 0 then return end
  if kept % TRIM_STEP < #events then redis.call('LTRIM', owner.events, 0, KEPT_EVENTS - 1) end
  return events
end

-- Gives the room its place in the inbox. Returns whether it is on top of those that are not pinned, see lib/row.
local function place_room(owner, name, active, prev, flags, on_top)
  if active <= prev or has_flag(flags, PINNED) then
    place_by_age(owner.inbox, owner.conversations, name, active)
    return '0'
  end
  if on_top == '0' then redis.call('ZADD', owner.inbox, active, name) end
  return '1'
end

-- Returns those of some events that a row does not have yet and the member is told, and the version of the last one that
-- is filed then.
local function new_events(events, row, filed)
  local oldest = events[1].version
  if oldest > filed and oldest > row.since and not row.left and row.hidden_up_to == 0 then
    return events, events[#events].version
  end
  local told = {}
  for _, event in ipairs(events) do
    if event.version > filed and event.version > row.since and (not row.left or event.version <= row.left) then
      filed = event.version
      -- What happens to a message that the member does not see is not told.
      if not event.seq or event.seq > row.hidden_up_to then told[#told + 1] = event end
    end
  end
  return told, filed
end

-- Appends the badge of a member, see lib/badges, once for each new message that the member has not read; if there is
-- none, once if the totals have changed.
local function append_room_badges(owner, offset, total, unread_conversations, muted, name, unread, flags, told, read,
  has_changed)
  if unread ~= '0' then
    for i = 1, #told do
      local event = told[i]
      if event.kind == 'message.created' and event.from ~= owner.id and event.seq > tonumber(read) then
        append_badge(owner, offset, total, unread_conversations, muted, name, unread, flags, event)
        has_changed = false
      end
    end
  end
  if not has_changed then return end
  local last = told[#told]
  if last.kind == 'message.created' then last = {kind = 'conversation.changed', message = ''} end
  append_badge(owner, offset, total, unread_conversations, muted, name, unread, flags, last)
end

-- Files events of a room, and its state, in the inbox of a member.
--
-- owner    whose inbox it is: `id`, and the keys `inbox`, `conversations` and `events`; `badges` and `leases` if the
--          badges of the partition are read, see lib/badges
-- version  of the room; row, as room_row returns it
-- events   list of {version, kind, message, user, seq, from, mentioned}: the events, oldest first; the last three are
--          those of the message, or nil
-- kind     without events, the type of the event if the member has changed; otherwise empty
--
-- Returns  the events to publish
local function update_room_inbox(owner, name, version, row, events, kind)
  local conversations = owner.conversations
  local stored = redis.call('HMGET', conversations, TOTALS_FIELD, name, EPOCH_FIELD)
  local prev, total, unread_conversations, muted, on_top, listening = string.match(stored[1] or NO_TOTALS, TOTALS)
  local old_version, old_offset, old_active, old_unread, old_flags, entry_at, old_mark = parse_row(stored[2])
  local mark, filed = parse_mark(old_mark, old_version)
  local is_newer, had_filed, told, old_total, old_muted = version > old_version, filed, events, total, muted
  if #events > 0 then told, filed = new_events(events, row, filed) end
  if not is_newer and filed == had_filed then return {} end
  local active, entry, unread, flags = row.active, row.entry, row.unread, row.flags
  if is_newer then
    if kind == '' and #told == 0 then
      local changed = active ~= old_active or mark ~= row.mark or entry ~= string.sub(stored[2] or '', entry_at)
      kind = changed and 'conversation.changed' or ''
    end
    if kind ~= '' then told = {{kind = kind, message = '', user = ''}} end
    mark = row.mark
  else
    version, active, unread, flags, entry = old_version, old_active, old_unread, old_flags, string.sub(stored[2], entry_at)
  end

  -- Offsets increase, and no row has a place above the last one.
  local first = version > prev and version or string.format('%d', prev + 1)
  local offset = #told == 0 and prev or #told == 1 and first or string.format('%d', first + #told - 1)
  if unread ~= old_unread or flags ~= old_flags then
    total, unread_conversations, muted =
      move_totals(conversations, old_unread, old_flags, unread, flags, total, unread_conversations, muted)
  end
  if old_offset ~= prev then on_top = '0' end
  if active ~= old_active then on_top = place_room(owner, name, active, prev, flags, on_top) end

  local kept_events
  if listening == '1' and #told > 0 then
    kept_events =
      keep_member_events(owner, name, stored[3], told, first, prev, entry, total, unread_conversations, muted)
    if not kept_events then listening = '0' end
  end

  local age = active == '0' and '' or difference(version, active)
  local ahead = difference(#told == 0 and old_offset or offset, version)
  redis.call('HSET', conversations, TOTALS_FIELD, offset .. '|' .. total .. '|' .. unread_conversations .. '|' .. muted
    .. '|' .. on_top .. '|' .. listening, name,
    version .. '|' .. ahead .. '|' .. age .. mark .. difference(version, filed) .. '|' .. entry)
  if owner.badges then
    owner.listening = listening
    local read = is_newer and row.read or string.match(entry, '^%d+|%d+|%d+|(%d+)')
    append_room_badges(owner, offset, total, unread_conversations, muted, name, unread, flags, told, read,
      total ~= old_total or muted ~= old_muted)
  end
  return kept_events or {}
end
