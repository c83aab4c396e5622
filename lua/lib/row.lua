-- The fields of a user's conversations hash.
--   ,totals   offset|total|unread_conversations|on_top|listening
--   ,epoch    tells this stream of the user's events from an earlier one; set when it is first opened
--   <peer>    version|ahead|age|entry, the row of the conversation with that peer
--   entry     unread|last_seq|read_seq|peer_read_seq|peer_delivered_seq|muted|blocked
--
-- offset     number of the user's last change; each change of a row takes the next one
-- on_top     1 if the last change left its row on top of the inbox
-- listening  1 if the user's events are kept and published
-- ahead      offset of the row's last change, less its version
-- age        version, less that of the newest message; empty if the inbox does not list the row
--
-- No id begins with a comma. A row is short, so that Redis keeps small hashes compact (64 bytes).

local TOTALS_FIELD, EPOCH_FIELD = ',totals', ',epoch'

-- Captures the totals, for string.match, and what stands for totals that are not there.
local TOTALS, NO_TOTALS = '^(%d+)|(%d+)|(%d+)|(%d)|(%d)$', '0|0|0|0|0'

-- Finds a row of which the user has blocked the peer.
local BLOCKED = '|1$'

-- Returns version, offset, active, unread, and the position of the entry; active is the version of the
-- newest message, 0 if the inbox does not list the row.
local function parse_row(text)
  local version, ahead, age, entry_at, unread =
    string.match(text or '0|0||0|', '^(%d+)|(%d+)|(-?%d*)|()(%d+)')
  local offset, active = version, version
  if ahead ~= '0' then offset = string.format('%d', version + ahead) end
  if age == '' then
    active = '0'
  elseif age ~= '0' then
    active = string.format('%d', version - age)
  end
  return version, offset, active, unread, entry_at
end
