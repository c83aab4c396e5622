#!lua flags=allow-oom
-- Forgets objects that were deleted.
--
-- Returns  forgotten  their number

local garbage = KEYS[1] -- zset    objects of the partition to delete -> when, in ms
local objects = ARGV    -- strings names of objects

return redis.call('ZREM', garbage, unpack(objects))
