#!lua flags=no-writes
-- Reads the settings of a subscription.
--
-- Returns  stored  as lua/subscriptions/set_subscription.lua has it
-- Errors   SUBSCRIPTION_NOT_FOUND  there is none of this name

local subscriptions = KEYS[1] -- hash    name -> generation|state|settings
local name          = ARGV[1] -- string  name of the subscription

local stored = redis.call('HGET', subscriptions, name)
if not stored or string.match(stored, '^%d+|closing|') then
  return redis.error_reply('SUBSCRIPTION_NOT_FOUND There is no such subscription.')
end
return stored
