#!lua flags=allow-oom
--- @include "lib/row"
-- Ends the reservation of a pin, see lua/inbox/reserve_pin.lua. After a pin that was made it stays until the row has
-- it.
--
-- Returns  released  1, or 0 if the reservation stays

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local pinning       = KEYS[2] -- zset    peer,request of pins that are being made -> time in s
local peer          = ARGV[1] -- string  user id of the peer
local request       = ARGV[2] -- string  id of the request
local made          = ARGV[3] -- flag    1 if the conversation was pinned, 0 if that was refused

if made == '1' then
  local _, _, _, _, flags = parse_row(redis.call('HGET', conversations, peer))
  if not has_flag(flags, PINNED) then return 0 end
end
return redis.call('ZREM', pinning, peer .. ',' .. request)
