#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/row"
-- Reads the unread totals of a user over all conversations.
--
-- Returns  [total, unread_conversations, muted_unread]  messages, conversations with unread
--          messages, and messages in muted conversations; those of blocked peers do not count
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local bucket        = KEYS[2] -- string  rate limit bucket; none if nobody is charged
local interval_us   = ARGV[1] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[2] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local totals = redis.call('HGET', conversations, TOTALS_FIELD) or NO_TOTALS
local _, total, unread_conversations, muted_unread = string.match(totals, TOTALS)
return with_charge(charge, {tonumber(total), tonumber(unread_conversations), tonumber(muted_unread)})
