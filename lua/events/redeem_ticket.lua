#!lua
-- Uses a ticket up: it opens one connection.
--
-- Returns  bearer  user|end as it was issued; nil if there is no such ticket

local ticket = KEYS[1] -- string  who may connect with it

return redis.call('GETDEL', ticket)
