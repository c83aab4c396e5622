#!lua flags=no-writes
-- Tells whose a ticket is, without using it up.
--
-- Returns  bearer  user|end as it was issued; nil if there is no such ticket

local ticket = KEYS[1] -- string  who may connect with it

return redis.call('GET', ticket)
