-- Searching a part of a conversation for the messages of one of its users. Deleted ones do not count.
--- @include "lib/message"

-- Returns how many messages of a sender stand between two seqs, both included.
local function count_messages(messages, sender, newest, low, high)
  local count = 0
  while high >= low do
    local to = math.max(high - 499, low)
    for _, message in ipairs(redis.call('LRANGE', messages, newest - high, newest - to)) do
      local from, next_member = string.match(message, MESSAGE_AUTHOR)
      if from == sender and next_member ~= TOMBSTONE then count = count + 1 end
    end
    high = to - 1
  end
  return count
end

-- Returns the newest messages of a sender, newest first, so many at most and none older than a seq.
-- It searches in steps, because messages that do not count stand between those that do.
local function newest_messages(messages, sender, newest, oldest, wanted)
  local found, high = {}, newest
  while #found < wanted and high >= oldest do
    local to = math.max(high - math.max(wanted - #found, 16) + 1, oldest)
    for _, message in ipairs(redis.call('LRANGE', messages, newest - high, newest - to)) do
      local from, next_member = string.match(message, MESSAGE_AUTHOR)
      if #found < wanted and from == sender and next_member ~= TOMBSTONE then found[#found + 1] = message end
    end
    high = to - 1
  end
  return found
end
