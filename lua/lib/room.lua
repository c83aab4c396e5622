-- A room while a script runs. Numbers stay text, as in lib/conversation.
--
-- The fields of a room's meta hash:
--   state          seq|version|age|dropped_up_to|quiet
--   access         join|history: open or invited, all or joined
--   created        when the room was created, in microseconds since 1970: the epoch of its cursors
--   profile        JSON object that members see, opaque to scripts
--   member_count   number of members, without the banned
--   filed          version up to which events are filed in the inboxes of members
--   deleted        version of the deletion, while members are told of it; no other call finds the room
--   metadata:<id>, erased:<id>  as in lib/state
--
-- seq            seq of the newest message
-- version        orders the changes of the room, as in lib/state
-- age            version minus that of the newest message
-- dropped_up_to  seq of the newest message that the retention removed
-- quiet          version minus that of the newest event
--
-- The fields of a room's members hash, one for each member or banned user:
--   <id>           role|since|joined_ms|floor|cleared_up_to|read|flags|muted_until|archived_up_to
--
-- role            member, admin or banned
-- since           version before the joining; events after it are filed for the member
-- joined_ms       when the member joined, in milliseconds since 1970
-- floor           seq up to which messages are hidden because they are older than the joining; 0 if none are
-- cleared_up_to   seq up to which the member cleared the room; then the inbox does not list it
-- read            seq up to which the member has read
-- flags, muted_until  as in lib/state; blocked is never set
-- archived_up_to  seq of the newest message when the member archived the room; a newer one ends that
--- @include "lib/archive"
--- @include "lib/clock"
--- @include "lib/flags"
--- @include "lib/order"
--- @include "lib/retention"

local ROOM_STATE = '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$'
local MEMBER = '^(%l+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$'

-- Returns the state of a room as a table. `active` is the version of the newest message, `last_event` that of the
-- newest event.
local function parse_room_state(text)
  local seq, version, age, dropped_up_to, quiet = string.match(text, ROOM_STATE)
  -- After a new message, both are the version itself.
  local active = age == '0' and version or string.format('%d', version - age)
  local last_event = quiet == '0' and version or string.format('%d', version - quiet)
  return {
    seq = seq, version = version, dropped_up_to = tonumber(dropped_up_to), active = active, last_event = last_event,
  }
end

-- Returns the state of a room as text.
local function format_room_state(room)
  local version, age, quiet = room.version, '0', '0'
  if room.active ~= version then age = string.format('%d', version - room.active) end
  if room.last_event ~= version then quiet = string.format('%d', version - room.last_event) end
  return room.seq .. '|' .. version .. '|' .. age .. '|' .. string.format('%d', room.dropped_up_to) .. '|' .. quiet
end

-- Returns a member as a table. A mute whose time is over is none, and neither is an archiving that a newer message
-- ended.
local function parse_member(user, record, room)
  local role, since, joined_ms, floor, cleared_up_to, read, flags, muted_until, archived_up_to =
    string.match(record, MEMBER)
  if flags ~= NO_FLAGS then
    if muted_until ~= '0' and now_us() / 1000 >= tonumber(muted_until) then
      flags, muted_until = with_flag(flags, MUTED, '0'), '0'
    end
    if archived_up_to ~= room.seq then flags = with_flag(flags, ARCHIVED, '0') end
  end
  return {
    id = user, role = role, since = since, joined_ms = joined_ms, floor = floor, cleared_up_to = cleared_up_to,
    read = read, flags = flags, muted_until = muted_until, archived_up_to = archived_up_to,
  }
end

-- Returns a member as it is stored.
local function format_member(member)
  return member.role .. '|' .. member.since .. '|' .. member.joined_ms .. '|' .. member.floor .. '|'
    .. member.cleared_up_to .. '|' .. member.read .. '|' .. member.flags .. '|' .. member.muted_until .. '|'
    .. member.archived_up_to
end

-- Returns a user who joins the room with its next event.
local function new_member(room, user, role)
  return {
    id = user, role = role, since = room.version, joined_ms = string.format('%d', now_us() / 1000),
    floor = room.history == 'joined' and room.seq or '0', cleared_up_to = '0', read = room.seq, flags = NO_FLAGS,
    muted_until = '0', archived_up_to = '0',
  }
end

-- Whether somebody is a member: has a record, and is not banned.
local function is_member(member)
  return member and member.role ~= 'banned'
end

-- Loads a room, and of its members the user who acts; an empty `user` is nobody. Messages older than `retention`
-- allows count as dropped; an empty `retention` keeps everything.
--
-- Returns  the room, of which `member` is the record of the user, if any, and `is_filed` whether all of its events are
--          filed; nil if there is no such room
local function load_room(messages, meta, members, events, outbox, lease, feed, name, user, retention)
  local stored = redis.call('HMGET', meta, 'state', 'access', 'created', 'deleted', 'filed')
  if not stored[1] or stored[4] then return end
  local room = parse_room_state(stored[1])
  -- Versions have the same number of digits.
  room.is_filed = room.last_event <= (stored[5] or '0')
  room.messages, room.meta, room.members, room.events, room.outbox, room.lease, room.feed =
    messages, meta, members, events, outbox, lease, feed
  room.name, room.user, room.created, room.retention, room.dropped, room.published =
    name, user, stored[3], retention, 0, {}
  room.join, room.history = string.match(stored[2], '^(%l+)|(%l+)$')
  local record = user ~= '' and redis.call('HGET', members, user)
  room.member = record and parse_member(user, record, room) or nil
  if retention ~= '' then find_old_messages(room, retention) end
  return room
end

-- Returns the seq of the oldest message that a member can see; for a stranger, `member` is nil.
local function oldest_visible_in(room, member)
  if not member then return room.history == 'all' and room.dropped_up_to + 1 or room.seq + 1 end
  if member.floor == '0' and member.cleared_up_to == '0' then return room.dropped_up_to + 1 end
  return math.max(room.dropped_up_to, tonumber(member.floor), tonumber(member.cleared_up_to)) + 1
end

-- Returns a message that a user sees, as stored_message returns it. `member` is nil for a stranger.
local function visible_message(room, member, seq, held)
  if tonumber(seq) < oldest_visible_in(room, member) then return end
  return stored_message(room, seq, held)
end

-- Returns the number of messages that a member has not read, as text. Deleted ones count.
local function room_unread(room, member)
  if member.read == room.seq then return '0' end
  local unread = room.seq - math.max(tonumber(member.read), oldest_visible_in(room, member) - 1)
  return unread > 0 and string.format('%d', unread) or '0'
end

-- Returns the entry of the room in the inbox of a member, see lib/row, and the unread count, with which it begins. A
-- stranger has read nothing and has no unread messages.
local function room_entry(room, member)
  if not member then return '0|' .. NO_FLAGS .. '|' .. room.seq .. '|0|0|0', '0' end
  local unread = room_unread(room, member)
  local entry = unread .. '|' .. member.flags .. '|' .. room.seq .. '|' .. member.read .. '|0|0'
  if member.muted_until ~= '0' then entry = entry .. '|' .. member.muted_until end
  return entry, unread
end

-- Returns the place of the room in the inbox of a member, see lib/order: that of the newest message, or of the
-- joining if it is newer; 0 if the member cleared the room and no message came since.
local function room_place(room, member)
  local cleared = member.cleared_up_to
  if cleared ~= '0' and tonumber(cleared) >= tonumber(room.seq) then return '0' end
  -- Versions have the same number of digits.
  local place = room.active > member.since and room.active or member.since
  if member.flags == NO_FLAGS or not has_flag(member.flags, PINNED) then return place end
  return string.format('%d', place + PINNED_FIRST)
end
