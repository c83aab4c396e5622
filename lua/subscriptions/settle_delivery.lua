#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/reader"
-- Decides what becomes of an event that was sent to the endpoint of a subscription: it is acknowledged if the endpoint
-- took it, or if it is a dead letter; otherwise the failed attempt is counted.
--
-- Returns  verdict  done, it is acknowledged; again, it is to be sent again; dead, it failed too often while the
--          endpoint took others, so it is to be kept as a dead letter and settled once more; late, the process no longer
--          has the event

local feed     = KEYS[1] -- stream  feed of a partition
local readers  = KEYS[2] -- hash    readers of the partition, see lib/reader
local group    = ARGV[1] -- string  name of the group
local process  = ARGV[2] -- string  name of the process, which is the consumer
local entry    = ARGV[3] -- string  id of the event
local attempt  = ARGV[4] -- integer number of the attempt that failed; 0 to acknowledge the event
local status   = ARGV[5] -- string  status of the answer, empty if there was none
local wait_ms  = ARGV[6] -- integer milliseconds until the next attempt
local taken_ms = ARGV[7] -- integer milliseconds since the endpoint took an event; -1 if it took none
local limit    = ARGV[8] -- integer number of attempts

local pending = redis.pcall('XPENDING', feed, group, entry, entry, 1)
if pending.err then
  if string.sub(pending.err, 1, 7) ~= 'NOGROUP' then return pending end
  return 'late'
end
local _, holder = read_reader(readers, group)
if not pending[1] or holder ~= process then return 'late' end
local field = attempts_field(group)
if attempt == '0' then
  redis.call('XACK', feed, group, entry)
  redis.call('HDEL', readers, field)
  return 'done'
end
local now_ms = math.floor(now_us() / 1000)
local before = parse_attempts(redis.call('HGET', readers, field))
local first_ms = before and before.entry == entry and tonumber(before.first_ms) or now_ms
local attempts = format_attempts(entry, attempt, first_ms, now_ms + wait_ms, status)
redis.call('HSET', readers, field, attempts)
local took_others = taken_ms ~= '-1' and now_ms - taken_ms > first_ms
return tonumber(attempt) >= tonumber(limit) and took_others and 'dead' or 'again'
