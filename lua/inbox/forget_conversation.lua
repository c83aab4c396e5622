#!lua
--- @include "lib/row"
-- Takes a conversation out of the inbox of a user who leaves. With the last one the inbox goes, and
-- devices that listen are told that their stream has ended.
--
-- Returns  left  conversations that are still to be forgotten

local inbox         = KEYS[1] -- zset    peer -> version of its newest message
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[3] -- list    the user's last events, and the channel of that name
local presence      = KEYS[4] -- zset    process -> when the user was last connected to it, in ms
local peer          = ARGV[1] -- string  user id of the other one; empty if there never was one

local left = redis.call('HLEN', conversations)
for _, field in ipairs({TOTALS_FIELD, EPOCH_FIELD, peer}) do
  left = left - redis.call('HEXISTS', conversations, field)
end
if left > 0 then
  redis.call('ZREM', inbox, peer)
  redis.call('HDEL', conversations, peer)
elseif redis.call('DEL', inbox, conversations, events, presence) > 0 then
  redis.call('PUBLISH', events, '{"type":"reset","cursor":"0-0"}')
end
return left
