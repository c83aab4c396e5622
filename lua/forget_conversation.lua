#!lua
-- Takes a conversation out of the inbox of a user who leaves. With the last one the inbox goes, and
-- devices that listen are told that their stream has ended.
--
-- Returns  left  conversations that are still to be forgotten

local inbox         = KEYS[1] -- zset    pair -> version of its last message
local conversations = KEYS[2] -- hash    pair -> row; totals
local journal       = KEYS[3] -- list    the last events
local presence      = KEYS[4] -- zset    process -> when the user was last connected to it, in ms
local live          = KEYS[5] -- channel of the user's events
local pair          = ARGV[1] -- string  the two users, sorted and joined; empty if there never was one

redis.call('ZREM', inbox, pair)
redis.call('HDEL', conversations, pair)
local left = redis.call('HLEN', conversations) - redis.call('HEXISTS', conversations, 'totals')
if left == 0 and redis.call('DEL', inbox, conversations, journal, presence) > 0 then
  redis.call('PUBLISH', live, '{"type":"reset","cursor":"0-0"}')
end
return left
