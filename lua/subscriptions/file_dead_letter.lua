#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/dead_letter"
-- Keeps an event that the endpoint of a subscription did not take, unless one of its users was erased since: then it is
-- gone.
--
-- Returns  done  0 if there is the maximum number of dead letters

local dead       = KEYS[1] -- hash    dead letters, see lib/dead_letter
local dead_order = KEYS[2] -- zset    order of the dead letters
local erased     = KEYS[3] -- zset    users who were erased -> when, in us
local id         = ARGV[1] -- string  id of the event
local event      = ARGV[2] -- string  the event, see lib/dead_letter
local limit      = ARGV[3] -- integer maximum number of dead letters
-- Then the users whom the event names
local users      = {unpack(ARGV, 4)}

-- By how much the clocks of the nodes of a cluster may differ, in microseconds: another node gave the event its time.
local SKEW_US = 60000000

local happened_us = 1000 * string.match(id, '^%d+%-(%d+)')
for _, user in ipairs(users) do
  local erased_us = redis.call('ZSCORE', erased, user)
  if erased_us and tonumber(erased_us) + SKEW_US > happened_us then return 1 end
end
if redis.call('HEXISTS', dead, id) == 0 and redis.call('HLEN', dead) >= tonumber(limit) then return 0 end
keep_dead_letter(dead, dead_order, id, event, now_us())
return 1
