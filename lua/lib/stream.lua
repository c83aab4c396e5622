-- Reads the stream of a user after an offset.
--- @include "lib/event"
--- @include "lib/read_range"
--- @include "lib/row"

local function offset_of(event)
  return tonumber(string.match(event or '', '"cursor":"%d+%-(%d+)"') or -1)
end

local function prev_of(event)
  return tonumber(string.match(event, '^{"type":"[^"]*","cursor":"[^"]*","prev":"%d+%-(%d+)"'))
end

-- Returns the kept events after an offset, oldest first, and whether more follow; nil if they do not
-- reach back that far, or if the store lost some of them.
local function kept_events(key, after, newest, limit, bytes)
  local length, oldest = redis.call('LLEN', key), redis.call('LINDEX', key, -1) or ''
  local begin = prev_of(oldest) or offset_of(oldest)
  if begin < 0 or begin > after or offset_of(redis.call('LINDEX', key, 0)) ~= newest then return end
  -- The oldest event after the offset, by binary search.
  local low, high = 0, length - 1
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if offset_of(redis.call('LINDEX', key, middle)) > after then low = middle else high = middle - 1 end
  end
  local events = read_range(key, low, math.max(low - limit + 1, 0), bytes)
  if prev_of(events[1]) ~= after then return {} end
  return events, #events <= low
end

-- Approximate number of rows that one call looks at.
local SCANNED_ROWS = 200

-- Looks at the next rows of an inbox.
--
-- position  where the scan continues; 0 to begin
-- after     offset after which a row must have changed
--
-- Returns  those rows that changed, as {offset, peer, entry}, earliest change first, and where the scan
--          continues, 0 at its end
local function scan_changed_rows(conversations, position, after)
  local step, changed = redis.call('HSCAN', conversations, position, 'COUNT', SCANNED_ROWS), {}
  local stored = step[2]
  for i = 1, #stored, 2 do
    if is_row(stored[i]) then
      local _, offset, _, _, _, entry_at = parse_row(stored[i + 1])
      if tonumber(offset) > after then
        changed[#changed + 1] = {offset = offset, peer = stored[i], entry = string.sub(stored[i + 1], entry_at)}
      end
    end
  end
  table.sort(changed, function(one, other) return tonumber(one.offset) < tonumber(other.offset) end)
  return changed, step[1]
end
