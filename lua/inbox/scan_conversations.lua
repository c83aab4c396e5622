#!lua flags=no-writes
--- @include "lib/row"
-- Lists all conversations of a user in no order, cleared ones included: one step of a scan.
--
-- Returns  [cursor, peers, rows]  position of the next step (0 at the end), the peers (one can be returned
--          twice), and the row of each

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local cursor        = ARGV[1] -- integer position of the scan; 0 to begin
local count         = ARGV[2] -- integer approximate number of rows to look at

local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local peers, rows = {}, {}
for i = 1, #step[2], 2 do
  local peer, row = step[2][i], step[2][i + 1]
  if is_row(peer) then
    peers[#peers + 1], rows[#rows + 1] = peer, row
  end
end
return {step[1], peers, rows}
