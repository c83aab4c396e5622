-- Reads a part of a list without holding Redis for long.

-- Number of elements to read at a time. An element has up to 110 KB, Redis takes 1.3 ms for a MB, and most of
-- the last step may not fit. A page of 50 takes three steps.
local RANGE_STEP = 17

-- Returns elements of a list from one index to another, in this order: as many as fit into a number of
-- bytes, and at least one.
local function read_range(list, first, last, bytes)
  local found, count, size = {}, 0, 0
  local direction, wanted = first <= last and 1 or -1, math.abs(last - first) + 1
  while count < wanted do
    local near = first + direction * count
    local far = near + direction * (math.min(RANGE_STEP, wanted - count) - 1)
    local some = redis.call('LRANGE', list, math.min(near, far), math.max(near, far))
    local from, to = 1, #some
    if to == 0 then return found end
    if direction == -1 then from, to = to, from end
    for i = from, to, direction do
      local element = some[i]
      size = size + #element
      if count > 0 and size > bytes then return found end
      count = count + 1
      found[count] = element
    end
  end
  return found
end
