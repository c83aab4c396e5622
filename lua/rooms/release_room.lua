#!lua flags=allow-oom
-- Gives up the place of a room among the rooms of a user, unless it was reserved again since.
--
-- Returns  released  number of places

local rooms   = KEYS[1] -- zset    room -> time of the reservation in microseconds since 1970
local room    = ARGV[1] -- string  name of the room
local version = ARGV[2] -- integer version of the room when the user left it; empty if the user did not join

local reserved = redis.call('ZSCORE', rooms, room)
if not reserved or version ~= '' and tonumber(reserved) > tonumber(version) then return 0 end
return redis.call('ZREM', rooms, room)
