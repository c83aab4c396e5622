#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/presence"
-- Records that a user is connected to a process. Renewed before the lease expires; the presence that a dead
-- process left behind expires.
--
-- Returns  [came_online, has_journal]  1 if the user was offline before; 0 if the user's events have expired

local presence = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local leases   = KEYS[2] -- zset    user -> last renewal of the presence, in ms; of a partition
local events   = KEYS[3] -- list    the user's last events
local user     = ARGV[1] -- string  user id
local process  = ARGV[2] -- string  id of the process
local keep_s   = ARGV[3] -- integer seconds to remember when a user was last there
local events_s = ARGV[4] -- integer seconds to keep the events of a user who is away

local now, came_online = math.floor(now_us() / 1000), 1
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  if known[i] ~= '' and tonumber(known[i + 1]) > now - PRESENCE_MS then came_online = 0 end
end
redis.call('ZADD', presence, string.format('%d', now), process)
redis.call('EXPIRE', presence, keep_s)
redis.call('ZADD', leases, string.format('%d', now), user)
return {came_online, redis.call('EXPIRE', events, events_s)}
