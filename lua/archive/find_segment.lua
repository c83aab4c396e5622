#!lua flags=no-writes
--- @include "lib/archive"
-- Finds the next segment of a conversation.
--
-- Returns  [from, low, high, object]  seq of the oldest message that is kept, and the segment; only the first if there is
--          no further one

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the conversation, see lib/archive
local after    = ARGV[1] -- integer seq after which the segment ends; empty for the beginning

local state = redis.call('HGET', meta, 'state')
local conversation = {messages = messages, meta = meta, seq = string.match(state or '0', '%d+')}
local from = oldest_kept(conversation)
local segment = segment_at(conversation, math.max(from, (tonumber(after) or 0) + 1))
if not segment then return {from} end
return {from, segment.low, segment.high, segment.object}
