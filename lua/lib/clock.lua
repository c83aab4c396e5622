-- The clock of Redis, which all processes share.

-- Returns the time in microseconds since 1970, as text: 16 digits until the year 2286, so two of them
-- compare as texts.
local function now_us()
  local clock = redis.call('TIME')
  return clock[1] .. string.sub('00000' .. clock[2], -6)
end
