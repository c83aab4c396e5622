-- Searches for the messages of one of the two users. Deleted ones do not count.
--- @include "lib/archive"
--- @include "lib/message"
--- @include "lib/read_range"

-- Limits of a search, which keep it below 4 ms of Redis.
local SEARCHED_MESSAGES, SEARCHED_BYTES = 4000, 1572864

local function is_counted(message, sender)
  local from, next_member = string.match(message, MESSAGE_AUTHOR)
  return from == sender and next_member ~= TOMBSTONE
end

-- Counts messages of a sender that are in the list, from one seq to another, in this order.
--
-- Returns  the count, and the last seq that was searched
local function count_in_list(conversation, sender, first, last, bytes)
  local newest, direction = tonumber(conversation.seq), first <= last and 1 or -1
  local count, searched = 0, read_range(conversation.messages, newest - first, newest - last, bytes)
  for _, message in ipairs(searched) do
    if is_counted(message, sender) then count = count + 1 end
  end
  return count, first + direction * (#searched - 1)
end

-- Counts the messages of a sender from one seq to another, in this order.
--
-- share  of the limits of a search that this one may use: 1 for all
--
-- Returns  the count, and the last seq that was searched
local function count_messages(conversation, sender, first, last, share)
  local direction, bytes = first <= last and 1 or -1, SEARCHED_BYTES * share
  local bound = first + direction * (SEARCHED_MESSAGES * share - 1)
  last = direction == 1 and math.min(last, bound) or math.max(last, bound)
  local border = archive_of(conversation) and conversation.hot_from - 1 or 0
  if math.min(first, last) > border then return count_in_list(conversation, sender, first, last, bytes) end
  local low, high = math.min(first, last), math.min(math.max(first, last), border)
  local count = count_in_archive(conversation, author_of(conversation, sender), low, high)
  if high == math.max(first, last) then return count, last end
  -- Both: the search ends where that of the list ends, unless that is the border.
  local from, to = direction == 1 and border + 1 or first, direction == 1 and last or border + 1
  local hot_count, searched = count_in_list(conversation, sender, from, to, bytes)
  if direction == -1 and searched > border + 1 then return hot_count, searched end
  return count + hot_count, direction == 1 and searched or last
end

-- Returns the newest messages of a sender in the list, newest first, within the limits of a search.
--
-- oldest  seq of the oldest message to look at
-- wanted  maximum number of messages, and bytes, their maximum size; the first one always fits
local function newest_messages(conversation, sender, oldest, wanted, bytes)
  local messages, newest = conversation.messages, tonumber(conversation.seq)
  local found, count, found_bytes, searched_bytes, high = {}, 0, 0, 0, newest
  archive_of(conversation)
  oldest = math.max(oldest, newest - SEARCHED_MESSAGES + 1, conversation.hot_from)
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
