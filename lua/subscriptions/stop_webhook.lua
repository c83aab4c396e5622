#!lua flags=allow-oom
--- @include "lib/subscription"
-- Stops sending the events of a subscription, because its endpoint does not want them. A change of the subscription
-- starts it again. If it was changed meanwhile, nothing happens.
--
-- Returns  stopped  0 if it was changed meanwhile

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription
local name          = ARGV[1] -- string  name of the subscription
local stored        = ARGV[2] -- string  as it was stored when an event was sent

if redis.call('HGET', subscriptions, name) ~= stored then return 0 end
local generation, revision, _, settings = parse_subscription(stored)
redis.call('HSET', subscriptions, name, format_subscription(generation, revision, 'stopped', settings))
return 1
