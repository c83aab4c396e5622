#!lua
-- Takes one token from a bucket that refills steadily, or tells when there will be one.
-- Kept as the moment at which the bucket is full again (GCRA), so a full bucket needs no key.
-- PEXPIRE comes before SET on purpose: it takes no memory, and after a first write Redis lets the
-- rest pass when memory is full. So readers are charged, and served, by a full Redis.
--
-- Returns  [remaining, full_ms]  tokens left, milliseconds until the bucket is full
-- Errors   RATE_LIMITED  it is empty; the word is followed by the milliseconds to wait

local bucket   = KEYS[1] -- string  when it is full again, in microseconds since 1970
local interval = ARGV[1] -- integer microseconds in which one token comes back
local burst    = ARGV[2] -- integer tokens of a full bucket

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full_at = math.max(tonumber(redis.call('GET', bucket) or 0), now) + interval
local excess = full_at - now - interval * burst
if excess > 0 then
  return redis.error_reply('RATE_LIMITED ' .. string.format('%.0f', math.ceil(excess / 1000)))
end
local full_ms = math.ceil((full_at - now) / 1000)
redis.call('PEXPIRE', bucket, full_ms)
redis.call('SET', bucket, string.format('%.0f', full_at), 'PX', string.format('%.0f', full_ms))
return {math.floor(-excess / interval), full_ms}
