#!lua flags=allow-oom
-- Notes an object that is about to be written, so that it is deleted if no script makes it count.
--
-- Returns  done  1

local garbage = KEYS[1] -- zset    objects of the partition to delete -> when, in ms
local object  = ARGV[1] -- string  name of the object
local due     = ARGV[2] -- integer when it is deleted, in milliseconds since 1970

redis.call('ZADD', garbage, 'NX', due, object)
return 1
