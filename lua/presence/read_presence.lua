#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/clock"
--- @include "lib/presence"
--- @include "lib/rate"
--- @include "lib/row"
-- Reads whether a user is online, or when the user last was. A viewer to whom the user has not written, or
-- whom the user has blocked, sees a user who never was online.
--
-- Returns  [online, last_seen]  1 if online; otherwise the last time, in ms, 0 if unknown
-- Errors   RATE_LIMITED  the bucket is empty

local presence      = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local bucket        = KEYS[3] -- string  rate limit bucket; none if nobody is charged
local viewer        = ARGV[1] -- string  user id of the caller; empty for a backend
local interval_us   = ARGV[2] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[3] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
if viewer ~= '' then
  local row = redis.call('HGET', conversations, viewer)
  local _, _, _, _, flags, _, written = parse_row(row)
  if written ~= 'w' or has_flag(flags, BLOCKED) then return with_charge(charge, {0, 0}) end
end
local now, last_seen = math.floor(now_us() / 1000), 0
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local at = tonumber(known[i + 1])
  if known[i] ~= '' and at > now - PRESENCE_MS then return with_charge(charge, {1, 0}) end
  last_seen = math.max(last_seen, at)
end
return with_charge(charge, {0, last_seen})
