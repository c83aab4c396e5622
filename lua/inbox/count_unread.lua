#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/row"
-- Tells how much a user has not read, over all conversations.
--
-- Returns  [total, unread_conversations]  messages, and conversations that have some
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local bucket        = KEYS[2] -- string  bucket to charge; none if nobody is charged
local interval_us   = ARGV[1] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[2] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local _, total, unread_conversations = string.match(redis.call('HGET', conversations, TOTALS_FIELD) or NO_TOTALS, TOTALS)
return with_charge(charge, {tonumber(total), tonumber(unread_conversations)})
