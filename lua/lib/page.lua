-- Pages of a conversation. The message of seq s stands at index newest - s of the list.
--- @include "lib/sent_since"

-- Returns the seqs of the newest and the oldest message of a page, and what to pass as `before` for
-- the next one, 0 at the end.
--
-- before          only older messages than this seq; empty for any
-- limit           messages of a page, at most
-- newest, oldest  seqs of what there is
local function older_than(before, limit, newest, oldest)
  local high = math.min((tonumber(before) or newest + 1) - 1, newest)
  local low = math.max(high - limit + 1, oldest)
  return high, low, high >= low and low > oldest and low or 0
end

-- Returns the seqs of the newest and the oldest message of a page. If the page is empty, the first is one
-- less than the second. A place beyond an end counts as that end, so that every page lies within or directly
-- beside what there is.
--
-- messages        list of the messages
-- range           newest, before, after, around or around_time
-- place           the seq, the time, or nothing, of the range
-- limit           messages of a page, at most; may be 0
-- newest, oldest  seqs of what there is
local function page_bounds(messages, range, place, limit, newest, oldest)
  if range == 'after' then
    local low = math.max(math.min(place + 1, newest + 1), oldest)
    return math.min(low + limit - 1, newest), low
  elseif range == 'around' or range == 'around_time' then
    if range == 'around_time' then place = first_sent_since(messages, place, newest, oldest) end
    local low = math.max(math.min(place, newest), oldest) - math.floor(limit / 2)
    return math.min(low + limit - 1, newest), math.max(low, oldest)
  end
  if range == 'newest' then place = newest + 1 end
  local high = math.max(math.min(place - 1, newest), oldest - 1)
  return high, math.max(high - limit + 1, oldest)
end
