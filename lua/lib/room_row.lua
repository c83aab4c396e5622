-- What the row of a room in the inbox of a member says, see lib/row.
--- @include "lib/room"
--- @include "lib/row"

-- Captures `since` and `read` of a member who has set, cleared and missed nothing, as most are, so that few values have
-- to be created.
local PLAIN_MEMBER = '^%l+|(%d+)|%d+|0|0|(%d+)|00000|'

-- Returns what the row of a user says at a state of the room: the member, see lib/room, with `entry`, `unread`, `read`,
-- `active` and `mark`, see lib/row, and `hidden_up_to`, the seq up to which messages are hidden. Who has left has `left`, the
-- version of the leaving.
--
-- room    as parse_room_state returns it
-- record  of the members hash; left|since|version if the user has left
local function room_row(room, user, record)
  local since, read = string.match(record, PLAIN_MEMBER)
  if since and room.dropped_up_to == 0 then
    local unread = read == room.seq and '0' or string.format('%d', room.seq - read)
    return {
      since = since, hidden_up_to = 0, read = read, unread = unread, flags = NO_FLAGS,
      active = room.active > since and room.active or since, mark = room.seq == '0' and 'n' or 'r',
      entry = unread .. '|' .. NO_FLAGS .. '|' .. room.seq .. '|' .. read .. '|0|0',
    }
  end
  local left
  since, left = string.match(record, '^left|(%d+)|(%d+)$')
  if since then
    return {
      since = since, left = left, hidden_up_to = 0, unread = '0', flags = NO_FLAGS, active = '0', mark = 'x',
      entry = '0|' .. NO_FLAGS .. '|' .. room.seq .. '|' .. room.seq .. '|0|0',
    }
  end
  local row, hidden_up_to = parse_member(user, record, room), 0
  if row.floor ~= '0' or row.cleared_up_to ~= '0' then
    hidden_up_to = math.max(tonumber(row.floor), tonumber(row.cleared_up_to))
  end
  row.entry, row.unread = room_entry(room, row)
  row.hidden_up_to, row.active = hidden_up_to, room_place(room, row)
  row.mark = oldest_visible_in(room, row) <= tonumber(room.seq) and 'r' or 'n'
  return row
end

-- Returns the difference of two numbers of which each is text, as text.
local function difference(one, other)
  return one == other and '0' or string.format('%d', one - other)
end

-- Returns what stands behind the age of a row of a room, see lib/row: the mark, empty if there is no row, and the version
-- of the last event that was filed.
local function parse_mark(text, version)
  if text == '' then return '', '0' end
  if text == 'r0' then return 'r', version end
  return string.sub(text, 1, 1), string.format('%d', version - string.sub(text, 2))
end
