-- Charges a request, in the same step as the request itself.
--- @include "lib/clock"

-- Takes one token from a bucket that refills steadily. The bucket is stored as the time at which it
-- is full again (GCRA), so a full bucket needs no key.
--
-- bucket       key of the bucket
-- interval_us  microseconds in which one token comes back; nil or empty if nobody is charged
-- burst        tokens of a full bucket
--
-- Returns charge, refusal: {tokens left, milliseconds until the bucket is full, now = as now_us returns it}, nil
-- if nobody is charged; the error with which to refuse the request, if the bucket is empty and nothing was charged
local function charge_rate(bucket, interval_us, burst)
  if not interval_us or interval_us == '' then return end
  local clock = now_us()
  local now = tonumber(clock)
  interval_us = tonumber(interval_us)
  local full_at = math.max(tonumber(redis.call('GET', bucket) or 0), now) + interval_us
  local excess_us = full_at - now - interval_us * burst
  if excess_us > 0 then
    local full_ms = math.ceil((full_at - interval_us - now) / 1000)
    return {0, full_ms}, redis.error_reply('RATE_LIMITED ' .. string.format('%d', math.ceil(excess_us / 1000)))
  end
  local full_ms = math.ceil((full_at - now) / 1000)
  redis.call('SET', bucket, string.format('%d', full_at), 'PX', full_ms)
  return {math.floor(-excess_us / interval_us), full_ms, now = clock}
end
