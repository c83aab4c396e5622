#!lua flags=no-writes
-- Reads dead letters of a subscription that are to be sent again, those that failed first first.
--
-- Returns  rows  for each dead letter [id, event]

local dead       = KEYS[1] -- hash    dead letters, see lib/dead_letter
local dead_order = KEYS[2] -- zset    order of the dead letters
local limit      = ARGV[1] -- integer maximum number of dead letters

local rows = {}
for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', dead_order, '(0', '-inf', 'LIMIT', 0, limit)) do
  local event = redis.call('HGET', dead, id)
  if event then rows[#rows + 1] = {id, event} end
end
return rows
