#!lua flags=allow-oom
--- @include "lib/archive"
--- @include "lib/charged"
--- @include "lib/conversation"
--- @include "lib/rate"
-- Reads one message of a conversation.
--
-- Returns  message  JSON; [seq, low, high, object] if it is in the archive, see stored_message of lib/archive
-- Errors   MESSAGE_NOT_FOUND  there is no such message, or this user does not see it
--          RATE_LIMITED       the bucket is empty

local messages    = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the pair, see lib/state
local bucket      = KEYS[3] -- string  rate limit bucket; none if nobody is charged
local user        = ARGV[1] -- string  user id
local seq         = ARGV[2] -- integer seq of the message
local interval_us = ARGV[3] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[4] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local newest, reader = load_participant(meta, user)
local conversation, message, segment = {messages = messages, meta = meta, seq = newest}, nil, nil
if tonumber(seq) > tonumber(reader.cleared_up_to) then message, segment = stored_message(conversation, seq, {}) end
return (message or segment) and with_charge(charge, message or segment) or redis.error_reply('MESSAGE_NOT_FOUND There is no such message.')
