#!lua flags=allow-oom
--- @include "lib/read_range"
--- @include "lib/version"
-- Reads a part of the oldest messages of a conversation, which are to become a segment of the archive. If there are not
-- enough, the conversation is no longer noted.
--
-- Returns  [version, messages]  version of the conversation; JSON, oldest first, none if there are not enough

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the conversation, see lib/state and lib/room
local long     = KEYS[3] -- zset    conversation of the partition -> when messages of it move next, in ms
local name     = ARGV[1] -- string  pair or name of the room
local hot      = ARGV[2] -- integer number of messages that stay
local count    = ARGV[3] -- integer number of messages of a segment
local taken    = ARGV[4] -- integer number of its messages that earlier calls have returned
local limit    = ARGV[5] -- integer maximum number of messages of the part
local bytes    = ARGV[6] -- integer maximum bytes of the part; the first message always fits

local length = redis.call('LLEN', messages)
if length < hot + count then
  redis.call('ZREM', long, name)
  return {'', {}}
end
local _, version = parse_version(redis.call('HGET', meta, 'state'))
local oldest, wanted = length - 1 - taken, math.min(count - taken, limit)
return {version, read_range(messages, oldest, oldest - wanted + 1, tonumber(bytes))}
