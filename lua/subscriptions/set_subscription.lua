#!lua
--- @include "lib/subscription"
-- Creates a subscription, or changes the settings of one. The groups of its feeds are created or removed after it,
-- see lua/subscriptions/settle_subscription.lua.
--
-- Returns  [created, stored]  1 if it did not exist before; the subscription as it is stored
-- Errors   PRECONDITION_FAILED     it exists, and only a new one was asked for
--          TOO_MANY_SUBSCRIPTIONS  there is the maximum number

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription
local name          = ARGV[1] -- string  name of the subscription
local generation    = ARGV[2] -- integer generation of a new subscription
local settings      = ARGV[3] -- string  JSON object
local limit         = ARGV[4] -- integer maximum number of subscriptions
local only_new      = ARGV[5] -- flag    1 refuses a subscription that exists

local stored = redis.call('HGET', subscriptions, name)
local old_generation, state = parse_subscription(stored)
-- One that is being deleted is gone for its readers, and its groups are of another generation.
local exists = stored and state ~= 'closing'
if exists and only_new == '1' then
  return redis.error_reply('PRECONDITION_FAILED There is a subscription of this name.')
end
if not stored and redis.call('HLEN', subscriptions) >= tonumber(limit) then
  return redis.error_reply('TOO_MANY_SUBSCRIPTIONS There is the maximum number of subscriptions.')
end
if exists then generation = old_generation end
local new = format_subscription(generation, 'opening', settings)
redis.call('HSET', subscriptions, name, new)
return {exists and 0 or 1, new}
