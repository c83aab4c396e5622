#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/clock"
--- @include "lib/rate"
--- @include "lib/row"
-- Opens the stream of a user who begins to listen. From now on events are kept.
--
-- Returns  [epoch, offset, total, unread_conversations, muted_unread]  the end of the stream, and the unread
--          totals of the user
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[2] -- list    the user's last events, newest first
local bucket        = KEYS[3] -- string  rate limit bucket; none if nobody is charged
local keep_s        = ARGV[1] -- integer seconds to keep the events of a user who is away
local interval_us   = ARGV[2] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[3] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local stored = redis.call('HMGET', conversations, TOTALS_FIELD, EPOCH_FIELD)
local totals, epoch = stored[1] or NO_TOTALS, stored[2] or now_us()
local offset, total, unread_conversations, muted_unread, _, listening = string.match(totals, TOTALS)
if listening == '0' then
  redis.call('HSET', conversations, TOTALS_FIELD, string.sub(totals, 1, -2) .. '1', EPOCH_FIELD, epoch)
end
if redis.call('EXISTS', events) == 0 then
  -- LPUSHX appends only to a list that exists. This entry also holds where the kept events begin.
  redis.call('RPUSH', events, '{"cursor":"' .. epoch .. '-' .. offset .. '"}')
end
redis.call('EXPIRE', events, keep_s)
return with_charge(charge, {epoch, offset, tonumber(total), tonumber(unread_conversations), tonumber(muted_unread)})
