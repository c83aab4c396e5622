-- The fields of a user's conversations hash.
--   ,totals   offset|total|unread_conversations|muted_unread|on_top|listening
--   ,epoch    distinguishes the user's stream from an earlier one; set when the stream is first opened
--   ,pinned   number of pinned rows
--   <peer>    version|ahead|age|entry, the row of the conversation with that peer
--   entry     unread|flags|last_seq|read_seq|peer_read_seq|peer_delivered_seq, then |muted_until if the
--             mute ends; flags and muted_until as in lib/state
--
-- offset        offset of the user's last change; each change of a row increases it
-- total         unread messages of all peers whom the user has not blocked; so are the next two
-- muted_unread  those of them in muted conversations
-- on_top        1 if the last change left its row on top of those that are not pinned
-- listening     1 if the user's events are kept and published
-- ahead         offset of the row's last change minus its version; negative if the version is of a change that
--               this user was not told
-- age           version minus the row's place in the inbox, see lib/order; empty if the inbox does not list the
--               row; then w if the user has written to the peer. If the peer is a room, then r, or n if the user sees
--               no message of it, or x if the user has left it; and the version minus that of the last event that
--               was filed, see lib/room_inbox
--
-- No id begins with a comma. A row is short, so that Redis keeps small hashes compact (64 bytes).
--- @include "lib/state"

local TOTALS_FIELD, EPOCH_FIELD, PINNED_FIELD = ',totals', ',epoch', ',pinned'

-- Whether a field is the row of a peer.
local function is_row(field)
  return string.sub(field, 1, 1) ~= ','
end

-- Captures the totals, for string.match; and the totals of a user without any.
local TOTALS, NO_TOTALS = '^(%d+)|(%d+)|(%d+)|(%d+)|(%d)|(%d)$', '0|0|0|0|0|0'

-- Returns version, offset, active, unread, flags, the position of the entry, and what stands behind the age: w if the
-- user has written to the peer; active is the row's place in the inbox, 0 if the inbox does not list it.
local function parse_row(text)
  local version, ahead, age, written, entry_at, unread, flags =
    string.match(text or '0|0||0|00000|', '^(%d+)|(-?%d+)|(-?%d*)([^|]*)|()(%d+)|(%d+)')
  local offset, active = version, version
  if ahead ~= '0' then offset = string.format('%d', version + ahead) end
  if age == '' then
    active = '0'
  elseif age ~= '0' then
    active = string.format('%d', version - age)
  end
  return version, offset, active, unread, flags, entry_at, written
end

-- Returns what a row adds to the totals: unread messages, and those of a muted conversation.
local function counted(unread, flags)
  if flags == NO_FLAGS then return tonumber(unread), 0 end
  local count = has_flag(flags, BLOCKED) and 0 or tonumber(unread)
  return count, has_flag(flags, MUTED) and count or 0
end

-- Whether a row is of a room that the user has left.
local function has_left(row)
  return string.find(row, '^%d+|%-?%d+|%-?%d*x') ~= nil
end
