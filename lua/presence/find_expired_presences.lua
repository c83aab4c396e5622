#!lua flags=no-writes
--- @include "lib/clock"
--- @include "lib/presence"
-- Finds users of a partition whose presence no process has renewed in time.
--
-- Returns  users  at most the given number

local leases = KEYS[1] -- zset    user -> last renewal of the presence, in ms
local count  = ARGV[1] -- integer maximum number of users

local expired = string.format('%d', math.floor(now_us() / 1000) - PRESENCE_MS)
return redis.call('ZRANGEBYSCORE', leases, '-inf', expired, 'LIMIT', 0, count)
