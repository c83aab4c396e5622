#!lua flags=allow-oom
--- @include "lib/clock"
-- Notes that a user has a connection to a process. To be renewed before the lease ends, so that a
-- process that dies without notice is found.
--
-- Returns  [came, kept]  1 if the user was not there before; 0 if the user's events are gone

local presence = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local leases   = KEYS[2] -- zset    user -> when it was last known to be there, in ms; of a partition
local events   = KEYS[3] -- list    the user's last events
local user     = ARGV[1] -- string  user id
local process  = ARGV[2] -- string  id of the process
local lease_ms = ARGV[3] -- integer how long a lease lasts
local keep_s   = ARGV[4] -- integer seconds to remember when a user was last there
local events_s = ARGV[5] -- integer seconds to keep the events of a user who is away

local now, came = math.floor(now_us() / 1000), 1
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  if known[i] ~= '' and tonumber(known[i + 1]) > now - lease_ms then came = 0 end
end
redis.call('ZADD', presence, string.format('%d', now), process)
redis.call('EXPIRE', presence, keep_s)
redis.call('ZADD', leases, string.format('%d', now), user)
return {came, redis.call('EXPIRE', events, events_s)}
