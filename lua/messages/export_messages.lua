#!lua flags=no-writes
--- @include "lib/page"
-- Reads a part of a conversation as it is stored, for its user to take away: what the user cleared
-- is part of it too.
--
-- Returns  [messages, next_before]  newest first, and what to pass as before to go on; 0 at the end

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the pair, see lib/conversation and lib/marks
local before   = ARGV[1] -- integer only older ones than this seq; empty for any
local limit    = ARGV[2] -- integer how many, at most

local newest = tonumber(string.match(redis.call('HGET', meta, 'state') or '0', '%d+'))
local high, low, next_before = older_than(before, limit, newest, newest - redis.call('LLEN', messages) + 1)
return {high >= low and redis.call('LRANGE', messages, newest - high, newest - low) or {}, next_before}
