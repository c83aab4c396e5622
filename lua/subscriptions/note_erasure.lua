#!lua flags=allow-oom
--- @include "lib/clock"
-- Notes that a user was erased, so that no event from before becomes a dead letter any more.
--
-- Returns  done  1

local erased = KEYS[1] -- zset    users who were erased -> when, in us, see lib/dead_letter
local user   = ARGV[1] -- string  id of the user
local kept_s = ARGV[2] -- integer seconds for which an event from before can still be sent

local now = now_us()
redis.call('ZADD', erased, now, user)
local since = string.format('%d', now - 1000000 * kept_s)
local old = redis.call('ZRANGEBYSCORE', erased, '-inf', since, 'LIMIT', 0, 100)
if #old > 0 then redis.call('ZREM', erased, unpack(old)) end
redis.call('EXPIRE', erased, kept_s)
return 1
