-- The clock of Redis, which all processes share.

-- Returns the time in microseconds since 1970, as text: 16 digits until the year 2286, so two times
-- compare as texts.
local function now_us()
  local clock = redis.call('TIME')
  local microseconds = clock[2]
  if #microseconds < 6 then microseconds = string.rep('0', 6 - #microseconds) .. microseconds end
  return clock[1] .. microseconds
end
