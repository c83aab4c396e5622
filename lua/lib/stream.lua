-- Reading the stream of a user's events from a place on.
--- @include "lib/event"
--- @include "lib/row"

local function offset_of(event)
  return tonumber(string.match(event or '', '"cursor":"%d+%-(%d+)"') or -1)
end

local function prev_of(event)
  return tonumber(string.match(event, '^{"type":"[^"]*","cursor":"[^"]*","prev":"%d+%-(%d+)"'))
end

-- Returns the kept events behind an offset, oldest first, and whether there are more; nil if they do
-- not reach back to there, or if the store lost some of them.
local function kept_events(key, after, newest, limit, bytes)
  local length, oldest = redis.call('LLEN', key), redis.call('LINDEX', key, -1) or ''
  local begin = prev_of(oldest) or offset_of(oldest)
  if begin < 0 or begin > after or offset_of(redis.call('LINDEX', key, 0)) ~= newest then return end
  -- The oldest event that is newer than the place, by halving.
  local low, high = 0, length - 1
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if offset_of(redis.call('LINDEX', key, middle)) > after then low = middle else high = middle - 1 end
  end
  local some = redis.call('LRANGE', key, math.max(low - limit + 1, 0), low)
  local events, size = {}, 0
  if prev_of(some[#some]) ~= after then return events end
  for i = #some, 1, -1 do
    if size > bytes then break end
    events[#events + 1], size = some[i], size + #some[i]
  end
  return events, #events <= low
end

-- Returns the rows that changed behind an offset, those that changed first in front.
local function changed_rows(conversations, after)
  local changed, stored = {}, redis.call('HGETALL', conversations)
  for i = 1, #stored, 2 do
    if is_row(stored[i]) then
      local _, offset, _, _, _, entry_at = parse_row(stored[i + 1])
      if tonumber(offset) > after then
        changed[#changed + 1] = {offset = offset, peer = stored[i], entry = string.sub(stored[i + 1], entry_at)}
      end
    end
  end
  table.sort(changed, function(one, other) return tonumber(one.offset) < tonumber(other.offset) end)
  return changed
end
