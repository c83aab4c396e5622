#!lua
-- Keeps a ticket until it is used or its time is over.
--
-- Returns  kept  1

local ticket = KEYS[1] -- string  who may connect with it
local bearer = ARGV[1] -- string  user|end, the latter in seconds since 1970, empty if there is none
local good_s = ARGV[2] -- integer seconds for which it is good

redis.call('SET', ticket, bearer, 'EX', good_s)
return 1
