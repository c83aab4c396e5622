#!lua flags=no-writes
-- Reads the settings of all subscriptions, also of those that are being deleted.
--
-- Returns  [name, stored, ...]  as they are stored

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription

return redis.call('HGETALL', subscriptions)
