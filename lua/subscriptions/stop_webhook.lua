#!lua flags=allow-oom
--- @include "lib/subscription"
-- Stops sending the events of a subscription, because its endpoint does not want them. A change of the subscription
-- starts it again. If it was changed meanwhile, nothing happens.
--
-- Returns  stopped  0 if it was changed meanwhile

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription
local name          = ARGV[1] -- string  name of the subscription
local generation    = ARGV[2] -- integer its generation
local settings      = ARGV[3] -- string  its settings when an event was sent

local open = format_subscription(generation, 'open', settings)
if redis.call('HGET', subscriptions, name) ~= open then return 0 end
redis.call('HSET', subscriptions, name, format_subscription(generation, 'stopped', settings))
return 1
