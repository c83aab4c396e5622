#!lua flags=no-writes
--- @include "lib/clock"
-- Finds users of a partition whose presence no process has renewed for longer than a lease.
--
-- Returns  users  at most the given number

local leases   = KEYS[1] -- zset    user -> last renewal of the presence, in ms
local lease_ms = ARGV[1] -- integer milliseconds for which a lease lasts
local count    = ARGV[2] -- integer maximum number of users

local expired = string.format('%d', math.floor(now_us() / 1000) - lease_ms)
return redis.call('ZRANGEBYSCORE', leases, '-inf', expired, 'LIMIT', 0, count)
