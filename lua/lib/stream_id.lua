-- Ids of entries of streams: milliseconds since 1970, and a number.

local LARGEST_NUMBER = '18446744073709551615'

-- Returns both parts of an id.
local function split_id(id)
  return string.match(id, '^(%d+)-(%d+)$')
end

-- Whether an id is less than another one.
local function is_before(id, other)
  local ms, number = split_id(id)
  local other_ms, other_number = split_id(other)
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(number) < tonumber(other_number)
end

-- Returns the next id.
local function id_after(id)
  local ms, number = split_id(id)
  if number == LARGEST_NUMBER then return string.format('%d-0', ms + 1) end
  return string.format('%s-%d', ms, number + 1)
end

-- Returns the id before; '0-0' has none.
local function id_before(id)
  local ms, number = split_id(id)
  if number ~= '0' then return string.format('%s-%d', ms, number - 1) end
  if ms == '0' then return id end
  return string.format('%d-%s', ms - 1, LARGEST_NUMBER)
end
