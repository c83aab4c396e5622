#!lua
-- Claims a new store for this format and number of partitions, or tells what an old one was made with.
--
-- Returns  format,partitions  what the store is made with, from now on or since long

local store = KEYS[1] -- string  format and number of partitions
local ours  = ARGV[1] -- string  format,partitions that the caller needs

return redis.call('SET', store, ours, 'NX', 'GET') or ours
