#!lua
--- @include "lib/charged"
--- @include "lib/conversation"
--- @include "lib/rate"
-- Publishes to the peer's devices that the user is typing, at most once a second, and only if the two have
-- a conversation.
--
-- Returns  announced  1 if it was published, or is to be published by the caller
-- Errors   BLOCKED       the peer has blocked the user
--          RATE_LIMITED  the bucket is empty

local meta        = KEYS[1] -- hash    everything else of the pair, see lib/state
local typing      = KEYS[2] -- string  exists for a second after an announcement
local bucket      = KEYS[3] -- string  rate limit bucket; none if nobody is charged
local peer        = ARGV[1] -- string  user id of the peer
local channel     = ARGV[2] -- channel of the peer's events; empty on a cluster, where it is on another node
local event       = ARGV[3] -- string  the event as JSON
local interval_us = ARGV[4] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[5] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local seq, told = load_participant(meta, peer)
if has_flag(told.flags, BLOCKED) then return redis.error_reply('BLOCKED The peer has blocked the user.') end
if seq == '0' or told.erased or not redis.call('SET', typing, '', 'NX', 'PX', 1000) then
  return with_charge(charge, 0)
end
if channel ~= '' then redis.call('SPUBLISH', channel, event) end
return with_charge(charge, 1)
