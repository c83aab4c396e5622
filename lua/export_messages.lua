#!lua flags=no-writes
-- Reads a part of a conversation as it is stored, for its user to take away: what the user cleared
-- is part of it too.
--
-- Returns  [messages, next_before]  newest first, and what to pass as before to go on; 0 at the end

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta     = KEYS[3] -- hash    seq: that of the newest message
local before   = ARGV[1] -- integer only older ones than this seq; empty for any
local limit    = ARGV[2] -- integer how many, at most

local newest = tonumber(redis.call('HGET', meta, 'seq') or 0)
local oldest = newest - redis.call('LLEN', messages) + 1
local high = math.min((tonumber(before) or newest + 1) - 1, newest)
local low = math.max(high - limit + 1, oldest)
if high < low then return {{}, 0} end
return {redis.call('LRANGE', messages, newest - high, newest - low), low > oldest and low or 0}
