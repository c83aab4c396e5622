#!lua
-- Tells a user's devices that its peer is typing, at most once a second, and only if the two have a
-- conversation and the user has not blocked the peer.
--
-- Returns  told  1 if it was told

local meta    = KEYS[1] -- hash    the conversation
local typing  = KEYS[2] -- string  there for a second after it was told
local peer    = ARGV[1] -- string  user id of the one to tell
local channel = ARGV[2] -- channel of that user's events
local event   = ARGV[3] -- string  the event as JSON

local seq, blocked = unpack(redis.call('HMGET', meta, 'seq', 'blocked:' .. peer))
if not seq or blocked or not redis.call('SET', typing, '', 'NX', 'PX', 1000) then return 0 end
redis.call('PUBLISH', channel, event)
return 1
