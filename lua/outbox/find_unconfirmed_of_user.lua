#!lua flags=no-writes
-- Finds the pairs of an outbox with a user, also those whose updates are under way: one step of a scan.
--
-- Returns  [cursor, pairs]  position of the next step (0 at the end), and the pairs; one can be returned twice

local outbox = KEYS[1] -- zset    pair -> version, see lib/outbox
local user   = ARGV[1] -- string  user id
local cursor = ARGV[2] -- integer position of the scan; 0 to begin
local count  = ARGV[3] -- integer approximate number of pairs to look at

local step = redis.call('ZSCAN', outbox, cursor, 'COUNT', count)
local pairs_of_user = {}
for i = 1, #step[2], 2 do
  local pair = step[2][i]
  local one, other = string.match(pair, '^([^,]+),([^,]+)$')
  if one == user or other == user then pairs_of_user[#pairs_of_user + 1] = pair end
end
return {step[1], pairs_of_user}
