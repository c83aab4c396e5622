-- Searches for the messages of one of the two users. Deleted ones do not count.
--- @include "lib/message"
--- @include "lib/read_range"

-- Limits of a search, which keep it below 4 ms of Redis.
local SEARCHED_MESSAGES, SEARCHED_BYTES = 4000, 1572864

local function is_counted(message, sender)
  local from, next_member = string.match(message, MESSAGE_AUTHOR)
  return from == sender and next_member ~= TOMBSTONE
end

-- Counts the messages of a sender from one seq to another, in this order.
--
-- share  of the limits of a search that this one may use: 1 for all
--
-- Returns  the count, and the last seq that was searched
local function count_messages(messages, sender, newest, first, last, share)
  local direction = first <= last and 1 or -1
  local bound = first + direction * (SEARCHED_MESSAGES * share - 1)
  last = direction == 1 and math.min(last, bound) or math.max(last, bound)
  local count, searched = 0, read_range(messages, newest - first, newest - last, SEARCHED_BYTES * share)
  for _, message in ipairs(searched) do
    if is_counted(message, sender) then count = count + 1 end
  end
  return count, first + direction * (#searched - 1)
end

-- Returns the newest messages of a sender, newest first, within the limits of a search.
--
-- oldest  seq of the oldest message to look at
-- wanted  maximum number of messages, and bytes, their maximum size; the first one always fits
local function newest_messages(messages, sender, newest, oldest, wanted, bytes)
  local found, count, found_bytes, searched_bytes, high = {}, 0, 0, 0, newest
  oldest = math.max(oldest, newest - SEARCHED_MESSAGES + 1)
  while count < wanted and high >= oldest and searched_bytes < SEARCHED_BYTES do
    local low = math.max(high - RANGE_STEP + 1, oldest)
    for _, message in ipairs(redis.call('LRANGE', messages, newest - high, newest - low)) do
      local size = #message
      searched_bytes = searched_bytes + size
      if count < wanted and is_counted(message, sender) then
        found_bytes = found_bytes + size
        if found_bytes > bytes and count > 0 then return found end
        count = count + 1
        found[count] = message
      end
    end
    high = low - 1
  end
  return found
end
