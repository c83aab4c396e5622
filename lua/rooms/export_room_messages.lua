#!lua flags=no-writes
--- @include "lib/message"
--- @include "lib/page"
--- @include "lib/state"
-- Reads a part of a room for the export or the erasure of a user, whether or not the user is still a member.
--
-- Returns  [messages, next_after, last_seq, archived]  newest first; the `after` of the next part, 0 at the end; the seq
--          of the newest message of the room; nil or what is in the archive, see read_part of lib/page

local messages = KEYS[1] -- list    messages of the room as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the room, see lib/room
local user     = ARGV[1] -- string  user id
local after    = ARGV[2] -- integer seq after which the part begins; empty for the beginning
local limit    = ARGV[3] -- integer maximum number of messages to look at
local bytes    = ARGV[4] -- integer maximum bytes of messages
local only_own = ARGV[5] -- flag    1 returns only messages of the user, not those of an erased user of the same id

local stored = redis.call('HMGET', meta, 'state', ERASED_FIELD .. user)
local room = {messages = messages, meta = meta, seq = string.match(stored[1] or '0', '%d+')}
local erased_up_to = only_own == '1' and tonumber(stored[2] or 0) or 0
local page, next_after, archived = read_part(room, math.max(tonumber(after) or 0, erased_up_to), limit, bytes)
if only_own ~= '1' then return {page, next_after, tonumber(room.seq), archived} end
local own = {}
for _, message in ipairs(page) do
  if string.match(message, MESSAGE_AUTHOR) == user then own[#own + 1] = message end
end
return {own, next_after, tonumber(room.seq), archived}
