#!lua flags=allow-oom
--- @include "lib/read_range"
-- Returns the oldest messages of a conversation, which are to become a segment of the archive. If there are not
-- enough, the conversation is no longer noted.
--
-- Returns  messages  JSON, oldest first; none if there are not enough

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local long     = KEYS[2] -- zset    conversation of the partition -> when messages of it move next, in ms
local name     = ARGV[1] -- string  pair or name of the room
local hot      = ARGV[2] -- integer number of messages that stay
local count    = ARGV[3] -- integer number of messages of a segment
local bytes    = ARGV[4] -- integer maximum bytes of a segment

local length = redis.call('LLEN', messages)
if length < hot + count then
  redis.call('ZREM', long, name)
  return {}
end
return read_range(messages, length - 1, length - count, tonumber(bytes))
