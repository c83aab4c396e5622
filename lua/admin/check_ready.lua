#!lua flags=no-writes
-- Tells whether scripts run and whether this is the store that was opened.
--
-- Returns  format,partitions  what the store was made with; nil if it is not ours or was emptied

local store = KEYS[1] -- string  format and number of partitions

return redis.call('GET', store)
