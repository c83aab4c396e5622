#!lua flags=no-writes
--- @include "lib/row"
-- Goes through all conversations a user ever had, in no order, cleared ones included.
--
-- Returns  [cursor, peers, flags]  where to go on (0 at the end), some of them (one may come twice), and what
--          the user set on each, see lib/state

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local cursor        = ARGV[1] -- integer where to go on; 0 to begin
local count         = ARGV[2] -- integer how many to look at, about

local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local peers, set = {}, {}
for i = 1, #step[2], 2 do
  local peer, row = step[2][i], step[2][i + 1]
  if is_row(peer) then
    local _, _, _, _, flags = parse_row(row)
    peers[#peers + 1], set[#set + 1] = peer, flags
  end
end
return {step[1], peers, set}
