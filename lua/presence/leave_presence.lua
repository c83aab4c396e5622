#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/presence"
-- Records that a user is no longer connected to a process, and removes processes whose lease has expired.
--
-- Returns  [went_offline, last_seen]  1 if the user was online until now; the time, in ms

local presence = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local leases   = KEYS[2] -- zset    user -> last renewal of the presence, in ms; of a partition
local user     = ARGV[1] -- string  user id
local process  = ARGV[2] -- string  id of the process; empty to remove only expired ones
local keep_s   = ARGV[3] -- integer seconds to remember when a user was last there

local now = math.floor(now_us() / 1000)
local last_seen, online, gone = 0, false, {}
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local name, at = known[i], tonumber(known[i + 1])
  if name == '' or name == process or at <= now - PRESENCE_MS then
    last_seen = math.max(last_seen, name == process and process ~= '' and now or at)
    if name ~= '' then gone[#gone + 1] = name end
  else
    online = true
  end
end
-- Nothing is written for a user who was erased. The time is written before the processes are removed, so
-- that the key always exists in between.
if not online and last_seen > 0 then redis.call('ZADD', presence, string.format('%d', last_seen), '') end
if #gone > 0 then redis.call('ZREM', presence, unpack(gone)) end
redis.call('EXPIRE', presence, keep_s)
if online then return {0, 0} end
-- Of several processes, the one that removes the lease announces the change.
return {redis.call('ZREM', leases, user), last_seen}
