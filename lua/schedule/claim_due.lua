#!lua flags=allow-oom
--- @include "lib/clock"
-- Returns the entries that are due in the schedules of some partitions, and postpones them: no other process
-- performs them at the same time, and entries that were not performed become due again.
--
-- Returns  entries  the entries that are due, see lib/schedule

local schedules = KEYS    -- zsets   entries of a partition, see lib/schedule -> when they are due, in ms
local lease_ms  = ARGV[1] -- integer milliseconds for which an entry is postponed
local limit     = ARGV[2] -- integer maximum number of entries of a partition

local now = math.floor(now_us() / 1000)
local due, later = {}, string.format('%d', now + lease_ms)
for _, schedule in ipairs(schedules) do
  local entries = redis.call('ZRANGEBYSCORE', schedule, '-inf', string.format('%d', now), 'LIMIT', 0, limit)
  for _, entry in ipairs(entries) do
    redis.call('ZADD', schedule, later, entry)
    due[#due + 1] = entry
  end
end
return due
