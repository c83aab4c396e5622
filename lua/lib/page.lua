-- Pages of a conversation. The message of seq s stands at index newest - s of the list.
--- @include "lib/read_range"
--- @include "lib/sent_since"

-- Returns the seqs of the newest and the oldest message of a page, and the seq from which the page is
-- read if it is too large. If the page is empty, the first is one less than the second. A place beyond
-- an end counts as that end, so every page lies within or directly beside what there is.
--
-- messages        list of the messages
-- range           newest, before, after, around or around_time
-- place           the seq or the time of the range, if it has one
-- limit           maximum number of messages; may be 0
-- newest, oldest  seqs of what there is
local function page_bounds(messages, range, place, limit, newest, oldest)
  if range == 'after' then
    local low = math.max(math.min(place + 1, newest + 1), oldest)
    return math.min(low + limit - 1, newest), low, low
  elseif range == 'around' or range == 'around_time' then
    if range == 'around_time' then place = first_sent_since(messages, place, newest, oldest) end
    place = math.max(math.min(place, newest), oldest)
    local low = place - math.floor(limit / 2)
    return math.min(low + limit - 1, newest), math.max(low, oldest), place
  end
  if range == 'newest' then place = newest + 1 end
  local high = math.max(math.min(place - 1, newest), oldest - 1)
  return high, math.max(high - limit + 1, oldest), high
end

-- Reads the messages of a page, from `start` on to both ends, as long as they have no more than so many
-- bytes together. `high`, `low` and `start` are those of page_bounds.
--
-- Returns  the messages, newest first, and the seqs of the newest and the oldest
local function read_page(messages, newest, high, low, start, bytes)
  if high < low then return {}, high, low end
  local older = read_range(messages, newest - start, newest - low, start == high and bytes or bytes / 2)
  low = start - #older + 1
  if start == high then return older, high, low end
  local size = 0
  for i = 1, #older do size = size + #older[i] end
  local newer = read_range(messages, newest - start - 1, newest - high, math.max(bytes - size, 0))
  local page = {}
  for i = #newer, 1, -1 do page[#page + 1] = newer[i] end
  for i = 1, #older do page[#page + 1] = older[i] end
  return page, start + #newer, low
end

-- Reads the next part of all messages, for an export.
--
-- after  seq after which the part begins
-- limit  maximum number of messages, and bytes, their maximum size; the first one always fits
--
-- Returns  the messages, newest first, and the `after` of the next part, 0 at the end
local function read_part(messages, newest, after, limit, bytes)
  local low = math.max(after, newest - redis.call('LLEN', messages)) + 1
  local high = math.min(low + limit - 1, newest)
  local page
  page, high = read_page(messages, newest, high, low, low, tonumber(bytes))
  return page, high < newest and high or 0
end
