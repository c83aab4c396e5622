#!lua
--- @include "lib/clock"
--- @include "lib/row"
-- Reserves a place for a room among the rooms of a user, before and after the user joins it. Places of rooms that the
-- user has left, or did not join within a minute, are given up when all are in use.
--
-- Returns  reserved  1 if the place is new, 0 if the user had it
-- Errors   TOO_MANY_ROOMS  all places are in use

local rooms         = KEYS[1] -- zset    room -> time of the reservation in microseconds since 1970
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local room          = ARGV[1] -- string  name of the room
local limit         = ARGV[2] -- integer number of places; empty for a user who has joined

local JOINING_US = 60000000

local now = now_us()
-- Returns the places that are not in use.
local function find_unused()
  local places, names, unused = redis.call('ZRANGE', rooms, 0, -1, 'WITHSCORES'), {}, {}
  for i = 1, #places, 2 do names[#names + 1] = places[i] end
  for i, row in ipairs(redis.call('HMGET', conversations, unpack(names))) do
    local reserved = tonumber(places[2 * i])
    local in_use = now - reserved < JOINING_US
    if row then
      local version = parse_row(row)
      in_use = not has_left(row) or in_use and tonumber(version) < reserved
    end
    if not in_use then unused[#unused + 1] = names[i] end
  end
  return unused
end

local unused = {}
if limit ~= '' then
  if redis.call('ZSCORE', rooms, room) then return 0 end
  local count = redis.call('ZCARD', rooms)
  if count >= tonumber(limit) then unused = find_unused() end
  if count - #unused >= tonumber(limit) then
    return redis.error_reply('TOO_MANY_ROOMS The user is in the maximum number of rooms.')
  end
end
local reserved = redis.call('ZADD', rooms, now, room)
-- Last, because the key would be gone with the last place.
if #unused > 0 then redis.call('ZREM', rooms, unpack(unused)) end
return reserved
