#!lua flags=no-writes
--- @include "lib/row"
-- Goes through all conversations a user ever had, in no order, cleared ones included.
--
-- Returns  [cursor, peers, rows]  where to go on (0 at the end), some of them (one may come twice), and the row of
--          each

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local cursor        = ARGV[1] -- integer where to go on; 0 to begin
local count         = ARGV[2] -- integer how many to look at, about

local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local peers, rows = {}, {}
for i = 1, #step[2], 2 do
  local peer, row = step[2][i], step[2][i + 1]
  if is_row(peer) then
    peers[#peers + 1], rows[#rows + 1] = peer, row
  end
end
return {step[1], peers, rows}
