#!lua
--- @include "lib/charged"
--- @include "lib/rate"
-- Stores a ticket until it is used or expires.
--
-- Returns  stored  1
-- Errors   RATE_LIMITED  the bucket is empty

local ticket      = KEYS[1] -- string  bearer of the ticket
local bucket      = KEYS[2] -- string  rate limit bucket; none if nobody is charged
local bearer      = ARGV[1] -- string  reply of redeem_ticket
local valid_s     = ARGV[2] -- integer seconds for which the ticket is valid
local interval_us = ARGV[3] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[4] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
redis.call('SET', ticket, bearer, 'EX', valid_s)
return with_charge(charge, 1)
