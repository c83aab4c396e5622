#!lua flags=no-writes
--- @include "lib/subscription"
-- Reads the settings of a subscription.
--
-- Returns  stored  the subscription as it is stored
-- Errors   SUBSCRIPTION_NOT_FOUND  there is none of this name

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription
local name          = ARGV[1] -- string  name of the subscription

local stored = redis.call('HGET', subscriptions, name)
local _, _, state = parse_subscription(stored)
if not stored or state == 'closing' then
  return redis.error_reply('SUBSCRIPTION_NOT_FOUND There is no such subscription.')
end
return stored
