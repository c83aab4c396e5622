#!lua flags=no-writes
-- Reads the settings of all subscriptions, also of those that are being deleted.
--
-- Returns  [name, stored, ...]  as lua/subscriptions/set_subscription.lua has them

local subscriptions = KEYS[1] -- hash    name -> generation|state|settings

return redis.call('HGETALL', subscriptions)
