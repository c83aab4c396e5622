-- Notes that a user has no connection to a process any more, and forgets the processes that have
-- not said so for longer than a lease.
-- Without a shebang and with EXPIRE first, which takes no memory, for when memory is full.
--
-- Returns  [went, last_seen]  1 if the user is not there any more and was until now; when, in ms

local presence = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local leases   = KEYS[2] -- zset    user -> when it was last known to be there, in ms; of a partition
local user     = ARGV[1] -- string  user id
local process  = ARGV[2] -- string  id of the process; empty to forget only the dead
local lease_ms = ARGV[3] -- integer how long a word holds
local keep_s   = ARGV[4] -- integer seconds to remember when a user was last there

redis.call('EXPIRE', presence, keep_s)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local left, there = 0, false
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local at = tonumber(known[i + 1])
  if known[i] == '' then
    left = math.max(left, at)
  elseif known[i] == process or at <= now - lease_ms then
    redis.call('ZREM', presence, known[i])
    left = math.max(left, known[i] == process and now or at)
  else
    there = true
  end
end
if there then return {0, 0} end
-- Of a user who was erased nothing is known, and nothing is to be.
if left > 0 then
  redis.call('ZADD', presence, string.format('%.0f', left), '')
  redis.call('EXPIRE', presence, keep_s)
end
-- Whoever takes the lease away is the one who noticed.
return {redis.call('ZREM', leases, user), left}
