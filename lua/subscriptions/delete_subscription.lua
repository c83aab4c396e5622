#!lua flags=allow-oom
-- Marks a subscription as being deleted: it no longer exists for its readers.
--
-- Returns  stored  the subscription as it is stored now
-- Errors   SUBSCRIPTION_NOT_FOUND  there is none of this name

local subscriptions = KEYS[1] -- hash    name -> generation|state|settings
local name          = ARGV[1] -- string  name of the subscription

local generation, state, settings = string.match(redis.call('HGET', subscriptions, name) or '', '^(%d+)|(%l+)|(.*)$')
if not generation or state == 'closing' then
  return redis.error_reply('SUBSCRIPTION_NOT_FOUND There is no such subscription.')
end
local new = generation .. '|closing|' .. settings
redis.call('HSET', subscriptions, name, new)
return new
