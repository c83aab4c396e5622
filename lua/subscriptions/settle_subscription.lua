#!lua flags=allow-oom
--- @include "lib/subscription"
-- Ends the opening or the deletion of a subscription, after the groups of all feeds were created or removed: it is
-- open, or gone. If it was changed meanwhile, nothing happens.
--
-- Returns  settled  0 if it was changed meanwhile

local subscriptions       = KEYS[1] -- hash    name -> subscription, see lib/subscription
local webhook             = KEYS[2] -- hash    secrets and state of its webhook, see lib/subscription
local dead                = KEYS[3] -- hash    dead letters, see lib/dead_letter
local dead_order          = KEYS[4] -- zset    order of the dead letters
local badge_subscriptions = KEYS[5] -- hash    names of the subscriptions that read badges
local name                = ARGV[1] -- string  name of the subscription
local stored              = ARGV[2] -- string  as it was stored when the groups were created or removed
local reads_badges        = ARGV[3] -- flag    1 if it reads badges

if redis.call('HGET', subscriptions, name) ~= stored then return 0 end
local generation, revision, state, settings = parse_subscription(stored)
if state == 'closing' or reads_badges == '0' then redis.call('HDEL', badge_subscriptions, name) end
if state == 'closing' then
  redis.call('HDEL', subscriptions, name)
  redis.call('UNLINK', webhook, dead, dead_order)
else
  redis.call('HSET', subscriptions, name, format_subscription(generation, revision, 'open', settings))
end
return 1
