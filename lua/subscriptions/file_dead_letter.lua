#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/dead_letter"
-- Keeps an event that the endpoint of a subscription did not take.
--
-- Returns  kept  0 if there is the maximum number of dead letters

local dead       = KEYS[1] -- hash    dead letters, see lib/dead_letter
local dead_order = KEYS[2] -- zset    order of the dead letters
local id         = ARGV[1] -- string  id of the event
local event      = ARGV[2] -- string  the event, see lib/dead_letter
local limit      = ARGV[3] -- integer maximum number of dead letters

if redis.call('HEXISTS', dead, id) == 0 and redis.call('HLEN', dead) >= tonumber(limit) then return 0 end
keep_dead_letter(dead, dead_order, id, event, now_us())
return 1
