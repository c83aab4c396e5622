#!lua flags=no-writes
-- Reads the bearer of a ticket, which stays valid.
--
-- Returns  bearer  user|end as it was issued; nil if there is no such ticket

local ticket = KEYS[1] -- string  bearer of the ticket

return redis.call('GET', ticket)
