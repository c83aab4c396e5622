#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/row"
-- Lists the conversations of a user: pinned ones, then the others, each by latest message.
--
-- Returns  [total, unread_conversations, muted_unread, cursor, peers, rows, scores]  the totals of the whole
--          inbox, where the next page begins (empty at the end), and the page with the places of its rows
-- Errors   RATE_LIMITED  the bucket is empty

local inbox         = KEYS[1] -- zset    peer -> its place, see lib/order
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local bucket        = KEYS[3] -- string  rate limit bucket; none if nobody is charged
local limit         = ARGV[1] -- integer maximum number of conversations of a page
local score         = ARGV[2] -- integer where the page begins; empty for the first
local after         = ARGV[3] -- string  peer after whom the page begins, among those of that score
local unread_only   = ARGV[4] -- flag    1 lists only those with unread messages that the totals count
local archived      = ARGV[5] -- flag    1 lists only archived ones, 0 only others; empty lists both
local scan_limit    = ARGV[6] -- integer maximum number of conversations to look at
local interval_us   = ARGV[7] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[8] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local totals = redis.call('HGET', conversations, TOTALS_FIELD) or NO_TOTALS
local _, total, unread_conversations, muted_unread = string.match(totals, TOTALS)
local peers, rows, scores, cursor = {}, {}, {}, ''

local function answer(next_cursor)
  return with_charge(charge, {
    tonumber(total), tonumber(unread_conversations), tonumber(muted_unread), next_cursor, peers, rows, scores,
  })
end

-- Compares two ids by their bytes, as Redis orders members of equal score. The operator of Lua compares
-- as the locale of the server does.
local function precedes(one, other)
  for i = 1, math.min(#one, #other) do
    local byte, other_byte = string.byte(one, i), string.byte(other, i)
    if byte ~= other_byte then return byte < other_byte end
  end
  return #one < #other
end

local has_filter = unread_only == '1' or archived ~= ''

-- Whether the page lists a row.
local function is_listed(row)
  if not has_filter then return true end
  local _, _, _, unread, flags = parse_row(row)
  return (unread_only ~= '1' or counted(unread, flags) > 0)
    and (archived == '' or has_flag(flags, ARCHIVED) == (archived == '1'))
end

-- Returns the rows of the peers of a step.
local function rows_of(step)
  local names = {}
  for i = 1, #step, 2 do names[#names + 1] = step[i] end
  return #names == 0 and names or redis.call('HMGET', conversations, unpack(names))
end

local top, looked, offset = score ~= '' and score or '+inf', 0, 0
-- The page, the last row of the previous page, and one more to know whether this page is the last.
local size = has_filter and 100 or limit + 2
repeat
  local step = redis.call('ZREVRANGEBYSCORE', inbox, top, '-inf', 'WITHSCORES', 'LIMIT', offset, size)
  local found = rows_of(step)
  for i = 1, #step, 2 do
    local peer, version, row = step[i], step[i + 1], found[(i + 1) / 2]
    -- Redis returns members of equal score in descending order of their names.
    if version ~= score or precedes(peer, after) then
      if #rows == tonumber(limit) or looked == tonumber(scan_limit) then return answer(cursor) end
      looked, cursor = looked + 1, version .. ',' .. peer
      if is_listed(row) then peers[#peers + 1], rows[#rows + 1], scores[#scores + 1] = peer, row, version end
    end
  end
  offset = offset + size
until #step < 2 * size
return answer('')
