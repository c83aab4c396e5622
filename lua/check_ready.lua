#!lua flags=no-writes
-- Tells whether scripts run and whether this is the store that was opened.
--
-- Returns  partitions  the number the store was made with; nil if it is not ours or was emptied

local marker = KEYS[1] -- string  number of partitions

return tonumber(redis.call('GET', marker) or nil)
