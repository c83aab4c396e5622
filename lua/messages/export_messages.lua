#!lua flags=no-writes
--- @include "lib/page"
--- @include "lib/state"
-- Reads a part of a conversation for the export of its user, including messages that the user cleared, but
-- not those from before an erased user of the same id was erased.
--
-- Returns  [messages, next_after, last_seq, archived]  newest first; the `after` of the next part, 0 at the end; the
--          seq of the newest message of the conversation; nil or what is in the archive, see read_part of lib/page

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the pair, see lib/state
local user     = ARGV[1] -- string  user id
local after    = ARGV[2] -- integer seq after which the part begins; empty for the beginning
local limit    = ARGV[3] -- integer maximum number of messages
local bytes    = ARGV[4] -- integer maximum bytes of messages

local stored = redis.call('HMGET', meta, 'state', ERASED_FIELD .. user)
local conversation = {messages = messages, meta = meta, seq = string.match(stored[1] or '0', '%d+')}
local erased_up_to = tonumber(stored[2] or 0)
local page, next_after, archived = read_part(conversation, math.max(tonumber(after) or 0, erased_up_to), limit, bytes)
return {page, next_after, tonumber(conversation.seq), archived}
