-- Notes that a user has a connection to a process. To be said again before the lease ends, so that
-- a process that dies without a word is noticed.
-- Without a shebang and with EXPIRE first, which takes no memory, for when memory is full.
--
-- Returns  [came, kept]  1 if the user was not there before; 0 if the journal is gone

local presence  = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local leases    = KEYS[2] -- zset    user -> when it was last known to be there, in ms; of a partition
local journal   = KEYS[3] -- list    the last events
local user      = ARGV[1] -- string  user id
local process   = ARGV[2] -- string  id of the process
local lease_ms  = ARGV[3] -- integer how long a word holds
local keep_s    = ARGV[4] -- integer seconds to remember when a user was last there
local journal_s = ARGV[5] -- integer seconds to keep the journal of a user who is away

local kept = redis.call('EXPIRE', journal, journal_s)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local came = 1
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  if known[i] ~= '' and tonumber(known[i + 1]) > now - lease_ms then came = 0 end
end
redis.call('ZADD', presence, string.format('%.0f', now), process)
redis.call('EXPIRE', presence, keep_s)
redis.call('ZADD', leases, string.format('%.0f', now), user)
return {came, kept}
