#!lua flags=allow-oom
-- Drops the dead letters of a subscription that are about a user, whose data is erased, a part of them in each call.
--
-- Returns  next  cursor with which to call again; 0 at the end

local dead       = KEYS[1] -- hash    dead letters, see lib/dead_letter
local dead_order = KEYS[2] -- zset    order of the dead letters
local user       = ARGV[1] -- string  id of the user
local cursor     = ARGV[2] -- string  0, or `next` of the call before

-- No id needs escaping in JSON.
local quoted, gone = '"' .. user .. '"', {}
local found = redis.call('HSCAN', dead, cursor, 'COUNT', 100)
for i = 1, #found[2], 2 do
  if string.find(found[2][i + 1], quoted, 1, true) then gone[#gone + 1] = found[2][i] end
end
if #gone > 0 then
  redis.call('HDEL', dead, unpack(gone))
  redis.call('ZREM', dead_order, unpack(gone))
end
return found[1]
