#!lua flags=no-writes
--- @include "lib/clock"
--- @include "lib/outbox"
-- Finds pairs of an outbox whose updates have been unconfirmed for too long.
--
-- Returns  [pairs, count]  those pairs, longest first, and the number of all pairs of the outbox

local outbox = KEYS[1] -- zset    pair -> version, see lib/outbox
local limit  = ARGV[1] -- integer maximum number of pairs

local since = string.format('%d', now_us() - UNCONFIRMED_US)
return {redis.call('ZRANGEBYSCORE', outbox, '-inf', since, 'LIMIT', 0, limit), redis.call('ZCARD', outbox)}
