#!lua flags=no-writes
-- Goes through all conversations a user ever had, in no order, cleared ones included.
--
-- Returns  [cursor, pairs, blocked]  where to go on (0 at the end), some of them (one may come
--          twice), and of each 1 if the user blocked the other one

local conversations = KEYS[1] -- hash    pair -> row; totals
local cursor        = ARGV[1] -- integer where to go on; 0 to begin
local count         = ARGV[2] -- integer how many to look at, about

local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local pairs, blocked = {}, {}
for i = 1, #step[2], 2 do
  local pair, row = step[2][i], step[2][i + 1]
  if pair ~= 'totals' then
    pairs[#pairs + 1] = pair
    blocked[#blocked + 1] = tonumber(string.match(row, '^%d+|%d+|%d+|%d+|%d+|%d+|%d+|%d+|(%d)'))
  end
end
return {step[1], pairs, blocked}
