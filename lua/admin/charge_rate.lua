#!lua flags=allow-oom
--- @include "lib/rate"
-- Charges a rate limit for work outside of Redis.
--
-- Returns  [remaining, full_ms]  tokens left, milliseconds until the bucket is full
-- Errors   RATE_LIMITED  the bucket is empty; the word is followed by the milliseconds to wait

local bucket      = KEYS[1] -- string  time at which the bucket is full again, in microseconds since 1970
local interval_us = ARGV[1] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[2] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
return refusal or charge
