#!lua flags=no-writes
-- Goes through all conversations a user ever had, in no order, cleared ones included.
--
-- Returns  [cursor, pairs]  where to go on (0 at the end), and some of them; one may come twice

local conversations = KEYS[1] -- hash    pair -> row; totals
local cursor        = ARGV[1] -- integer where to go on; 0 to begin
local count         = ARGV[2] -- integer how many to look at, about

local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local found = {}
for i = 1, #step[2], 2 do
  if step[2][i] ~= 'totals' then found[#found + 1] = step[2][i] end
end
return {step[1], found}
