#!lua
-- Claims a new store for a number of partitions, or tells the number an old one was made with.
--
-- Returns  partitions  the number the store is made with, from now on or since long

local marker     = KEYS[1] -- string  number of partitions
local partitions = ARGV[1] -- integer number of partitions that the caller reckons with

redis.call('SET', marker, partitions, 'NX')
return tonumber(redis.call('GET', marker))
