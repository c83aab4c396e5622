-- Pages of a conversation. The message of seq s stands at index newest - s of the list, or is in the archive.
--- @include "lib/archive"
--- @include "lib/read_range"
--- @include "lib/sent_since"

-- Returns the seqs of the newest and the oldest message of a page, and the seq from which the page is
-- read if it is too large. If the page is empty, the first is one less than the second. A place beyond
-- an end counts as that end, so every page lies within or directly beside what there is.
--
-- range           newest, before, after or around
-- place           the seq of the range, if it has one
-- limit           maximum number of messages; may be 0
-- newest, oldest  seqs of what there is
local function page_bounds(range, place, limit, newest, oldest)
  if range == 'after' then
    local low = math.max(math.min(place + 1, newest + 1), oldest)
    return math.min(low + limit - 1, newest), low, low
  elseif range == 'around' then
    place = math.max(math.min(place, newest), oldest)
    local low = place - math.floor(limit / 2)
    return math.min(low + limit - 1, newest), math.max(low, oldest), place
  end
  if range == 'newest' then place = newest + 1 end
  local high = math.max(math.min(place - 1, newest), oldest - 1)
  return high, math.max(high - limit + 1, oldest), high
end

-- Reads the messages of a page that are in the list, from `start` on to both ends, as long as they have no more than
-- so many bytes together. `high`, `low` and `start` are those of page_bounds.
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

-- Reads what a page that reaches into the archive needs. Its bytes are counted by the caller, when it has the rest.
--
-- Returns  the messages of the page in the list, newest first; start, low and high of the page, then low, high and
--          object of each segment. Nil if what is in the list fills the page
local function read_archived_page(conversation, high, low, start, bytes)
  local messages, newest, hot_from = conversation.messages, tonumber(conversation.seq), conversation.hot_from
  local older = {}
  if start >= hot_from then
    older = read_range(messages, newest - start, newest - hot_from, start == high and bytes or bytes / 2)
    if #older <= start - hot_from then return end
  end
  local page, first_newer = {}, math.max(start + 1, hot_from)
  if first_newer <= high then
    local newer = read_range(messages, newest - first_newer, newest - high, bytes)
    for i = #newer, 1, -1 do page[#page + 1] = newer[i] end
  end
  for i = 1, #older do page[#page + 1] = older[i] end
  local archived, seq = {start, low, high}, low
  while seq <= high and seq < hot_from do
    local segment = segment_at(conversation, seq)
    archived[#archived + 1] = segment.low
    archived[#archived + 1] = segment.high
    archived[#archived + 1] = segment.object
    seq = segment.high + 1
  end
  return page, archived
end

-- Reads a page.
--
-- range, place, limit  as in page_bounds, or around_time with a time
-- oldest               seq of the oldest message that the user can see
-- bytes                maximum bytes of the messages
--
-- Returns  messages, newest first; the cursors of the pages before and after it, false at an end; false or, if the page
--          needs the archive, [oldest, newest, start, low, high, ...], the last as read_archived_page has them, or
--          [low, high, object] of the segment in which to search the time first
local function page_of(conversation, range, place, limit, oldest, bytes)
  local newest = tonumber(conversation.seq)
  if range == 'around_time' then
    local found, segment = first_sent_since(conversation, place, newest, oldest)
    if segment then return {}, false, false, {segment.low, segment.high, segment.object} end
    range, place = 'around', found
  end
  local high, low, start = page_bounds(range, place, limit, newest, oldest)
  local history
  if low <= high and low < conversation.hot_from then
    local page, archived = read_archived_page(conversation, high, low, start, tonumber(bytes))
    if archived then return page, false, false, {oldest, newest, unpack(archived)} end
    low = conversation.hot_from
  end
  history, high, low = read_page(conversation.messages, newest, high, low, start, tonumber(bytes))
  return history, low > oldest and low, high < newest and high, false
end

-- Reads the next part of all messages, for an export.
--
-- after  seq after which the part begins
-- limit  maximum number of messages, and bytes, their maximum size; the first one always fits
--
-- Returns  the messages, newest first; the `after` of the next part, 0 at the end; false or, if the part is in the
--          archive, [low, high, low, high, object]: its first and its last seq, and the segment
local function read_part(conversation, after, limit, bytes)
  local newest = tonumber(conversation.seq)
  local low = math.max(after, oldest_kept(conversation) - 1) + 1
  local high = math.min(low + limit - 1, newest)
  local segment = segment_at(conversation, low)
  if segment then
    return {}, 0, {low, math.min(high, segment.high), segment.low, segment.high, segment.object}
  end
  local page
  page, high = read_page(conversation.messages, newest, high, low, low, tonumber(bytes))
  return page, high < newest and high or 0, false
end
