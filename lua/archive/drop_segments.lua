#!lua flags=allow-oom
--- @include "lib/archive"
--- @include "lib/archive_change"
-- Notes the objects of a conversation as garbage that have only messages which the retention dropped.
--
-- Returns  dropped  number of objects

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the conversation, see lib/archive
local garbage  = KEYS[3] -- zset    objects of the partition to delete -> when, in ms
local folder   = ARGV[1] -- string  folder of the objects of the conversation
local grace_ms = ARGV[2] -- integer how long the objects are kept, in milliseconds
local limit    = ARGV[3] -- integer maximum number of objects

local stored = redis.call('HMGET', meta, 'state', ARCHIVE_FIELD)
if not stored[2] then return 0 end
local conversation = {messages = messages, meta = meta, seq = string.match(stored[1], '%d+')}
local archive = archive_of(conversation)
local up_to = archive and archive.from - 1 or nil
local dropped, first = drop_segments(conversation, stored[2], up_to, garbage, folder, grace_ms, tonumber(limit))
if dropped == 0 then return 0 end
local _, last, from = string.match(stored[2], ARCHIVE)
if first > tonumber(last) then
  redis.call('HDEL', meta, ARCHIVE_FIELD)
else
  save_first_segment(conversation, stored[2], first, from)
end
return dropped
