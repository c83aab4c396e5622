#!lua flags=allow-oom
--- @include "lib/subscription"
-- Marks a subscription as being deleted: it no longer exists for its readers.
--
-- Returns  stored  the subscription as it is stored now
-- Errors   SUBSCRIPTION_NOT_FOUND  there is none of this name

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription
local name          = ARGV[1] -- string  name of the subscription

local generation, revision, state, settings = parse_subscription(redis.call('HGET', subscriptions, name))
if not generation or state == 'closing' then
  return redis.error_reply('SUBSCRIPTION_NOT_FOUND There is no such subscription.')
end
local new = format_subscription(generation, revision + 1, 'closing', settings)
redis.call('HSET', subscriptions, name, new)
return new
