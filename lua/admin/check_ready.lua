#!lua flags=no-writes
-- Reads the format of the store, which also shows that scripts run.
--
-- Returns  format,partitions  of the store; nil if there is none

local store = KEYS[1] -- string  format and number of partitions

return redis.call('GET', store)
