#!lua flags=no-writes
-- Lists the rooms that a user is in or is joining, and some that the user has left.
--
-- Returns  rooms  their names

local rooms = KEYS[1] -- zset    room -> time of the reservation in microseconds since 1970

return redis.call('ZRANGE', rooms, 0, -1)
