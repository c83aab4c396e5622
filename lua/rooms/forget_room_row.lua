#!lua flags=allow-oom
--- @include "lib/row"
-- Removes what remains of a room in the inbox of an erased user: the row and the place among the user's rooms.
--
-- Returns  removed  1 if nothing remains, 0 if the user is a member again

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local rooms         = KEYS[2] -- zset    room -> time of the reservation in microseconds since 1970
local room          = ARGV[1] -- string  name of the room
local exists        = ARGV[2] -- flag    1 if there is such a room

local row = redis.call('HGET', conversations, room)
if row and exists == '1' and not has_left(row) then return 0 end
redis.call('HDEL', conversations, room)
redis.call('ZREM', rooms, room)
return 1
