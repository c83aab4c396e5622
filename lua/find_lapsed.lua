#!lua flags=no-writes
-- Finds users of a partition of whom nobody has said for longer than a lease that they are there.
--
-- Returns  users  some of them

local leases   = KEYS[1] -- zset    user -> when it was last known to be there, in ms
local lease_ms = ARGV[1] -- integer how long a word holds
local count    = ARGV[2] -- integer how many to find, at most

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', now - lease_ms), 'LIMIT', 0, count)
