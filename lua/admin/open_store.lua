#!lua
-- Writes the format and the number of partitions into an empty store, or reads those of an existing one.
--
-- Returns  format,partitions  of the store

local store = KEYS[1] -- string  format and number of partitions
local ours  = ARGV[1] -- string  format,partitions of this version of the service

return redis.call('SET', store, ours, 'NX', 'GET') or ours
