#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/dead_letter"
-- Decides what becomes of a dead letter that was sent again: it is gone if the endpoint took it, otherwise it is the
-- newest one.
--
-- Returns  settled  0 if there is no such dead letter any more

local dead       = KEYS[1] -- hash    dead letters, see lib/dead_letter
local dead_order = KEYS[2] -- zset    order of the dead letters
local id         = ARGV[1] -- string  id of the event
local event      = ARGV[2] -- string  the event after the failed attempt, see lib/dead_letter; empty if it was taken

if redis.call('HEXISTS', dead, id) == 0 then return 0 end
if event == '' then
  redis.call('HDEL', dead, id)
  redis.call('ZREM', dead_order, id)
else
  keep_dead_letter(dead, dead_order, id, event, now_us())
end
return 1
