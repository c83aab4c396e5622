#!lua
-- Deletes a ticket, so that it opens only one connection.
--
-- Returns  bearer  user|end as it was issued; nil if there is no such ticket

local ticket = KEYS[1] -- string  bearer of the ticket

return redis.call('GETDEL', ticket)
