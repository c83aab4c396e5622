#!lua
--- @include "lib/row"
-- Reserves a place among the pinned conversations of a user, before lua/conversations/update_conversation.lua pins one
-- on another node of a cluster. So requests at the same time cannot exceed the limit together. A reservation that is
-- not released, because the outcome of the pin is unknown, ends ten minutes after the user's last one.
--
-- Returns  reserved  1, or 0 if the user has the maximum number of pinned conversations

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local pinning       = KEYS[2] -- zset    peer,request of pins that are being made -> time in s
local peer          = ARGV[1] -- string  user id of the peer
local request       = ARGV[2] -- string  id of the request, which releases the reservation
local limit         = ARGV[3] -- integer maximum number of pinned conversations of a user

local function is_pinned(other)
  local _, _, _, _, flags = parse_row(redis.call('HGET', conversations, other))
  return has_flag(flags, PINNED)
end

local now = redis.call('TIME')[1]
if not is_pinned(peer) then
  local count = tonumber(redis.call('HGET', conversations, PINNED_FIELD) or 0)
  local counted_peers = {[peer] = true}
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', pinning, now - 600, '+inf')) do
    local other = string.match(member, '^[^,]+')
    if not counted_peers[other] and not is_pinned(other) then count = count + 1 end
    counted_peers[other] = true
  end
  if count >= tonumber(limit) then return 0 end
end
redis.call('ZADD', pinning, now, peer .. ',' .. request)
redis.call('EXPIRE', pinning, 600)
return 1
