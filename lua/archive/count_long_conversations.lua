#!lua flags=no-writes
-- Counts the conversations with messages that are to move to the archive.
--
-- Returns  count  their number in some partitions

local longs = KEYS -- zsets  conversation of a partition -> when messages of it move next, in ms

local count = 0
for _, long in ipairs(longs) do count = count + redis.call('ZCARD', long) end
return count
