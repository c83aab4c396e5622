-- Erases what a user wrote in a part of a conversation of two users, or of a room.
--- @include "lib/message"
--- @include "lib/tombstone"

-- Replaces messages, unless they have changed since they were read.
--
-- replaced  for each message its seq, the JSON as it was read, and the JSON to replace it by
--
-- Returns  number of messages that have changed
local function replace_unchanged(conversation, replaced)
  local messages, missed = conversation.messages, 0
  for i = 1, #replaced, 3 do
    local index = conversation.seq - replaced[i]
    if redis.call('LINDEX', messages, index) == replaced[i + 1] then
      redis.call('LSET', messages, index, replaced[i + 2])
    else
      missed = missed + 1
    end
  end
  return missed
end

-- Replaces the messages of a user from one seq to another by tombstones.
--
-- schedule  of the partition, from which expiring messages are taken
-- delete    delete_stored, or put_tombstone in a room
--
-- Returns  number of messages
local function erase_part(conversation, user, low, high, deleted_at, schedule, delete)
  local erased, entries, newest = 0, {}, tonumber(conversation.seq)
  for _, message in ipairs(redis.call('LRANGE', conversation.messages, newest - high, newest - low)) do
    local seq, from, next_member = string.match(message, MESSAGE_HEAD)
    if from == user and next_member ~= TOMBSTONE then
      local _, entry = delete(conversation, seq, message, deleted_at)
      entries[#entries + 1] = entry
      erased = erased + 1
    end
  end
  -- At once, because the key is gone with the last entry.
  if #entries > 0 then redis.call('ZREM', schedule, unpack(entries)) end
  return erased
end
