#!lua flags=no-writes
-- Lists a user's conversations, latest message first.
--
-- Returns  [total, unread_conversations, cursor, pairs, rows]  the totals of the whole inbox, where
--          to go on (empty at the end), and the page

local inbox         = KEYS[1] -- zset    pair -> version of its last message
local conversations = KEYS[2] -- hash    pair -> row; totals: useq|epoch|total|unread conversations|listening
local limit         = ARGV[1] -- integer conversations of a page, at most
local score         = ARGV[2] -- integer where to go on; empty to begin
local after         = ARGV[3] -- string  pair behind which to go on, among those of that score
local unread_only   = ARGV[4] -- flag    1 lists only those with unread messages
local scan_limit    = ARGV[5] -- integer conversations to look at, at most

local totals = redis.call('HGET', conversations, 'totals') or '0|0|0|0|0'
local total, with_unread = string.match(totals, '^%d+|%d+|(%d+)|(%d+)|')
local listed, rows, cursor = {}, {}, ''

local function answer(next_cursor)
  return {tonumber(total), tonumber(with_unread), next_cursor, listed, rows}
end

local top, looked, offset = score ~= '' and score or '+inf', 0, 0
-- What a page needs: itself, the one to go on behind, and one more to know whether it is the last.
local size = unread_only == '1' and 100 or limit + 2
repeat
  local step = redis.call('ZREVRANGEBYSCORE', inbox, top, '-inf', 'WITHSCORES', 'LIMIT', offset, size)
  for i = 1, #step, 2 do
    local pair = step[i]
    -- Those of equal score come in falling order of their names.
    if step[i + 1] ~= score or pair < after then
      if #rows == tonumber(limit) or looked == tonumber(scan_limit) then return answer(cursor) end
      looked, cursor = looked + 1, step[i + 1] .. ':' .. pair
      local row = redis.call('HGET', conversations, pair)
      if unread_only ~= '1' or string.match(row, '^%d+|%d+|(%d+)|') ~= '0' then
        listed[#listed + 1], rows[#rows + 1] = pair, row
      end
    end
  end
  offset = offset + size
until #step < 2 * size
return answer('')
