#!lua flags=allow-oom
-- Notes a conversation that has so many messages that some are to move to the archive.
--
-- Returns  noted  1 if it has so many

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local long     = KEYS[2] -- zset    conversation of the partition -> when messages of it move next, in ms
local name     = ARGV[1] -- string  pair or name of the room
local limit    = ARGV[2] -- integer number of messages from which on some are to move

if redis.call('LLEN', messages) < tonumber(limit) then return 0 end
redis.call('ZADD', long, 'NX', '0', name)
return 1
