#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/room_access"
-- Reads one message of a room.
--
-- Returns  message  JSON; [seq, low, high, object] if it is in the archive, see stored_message of lib/archive
-- Errors   MESSAGE_NOT_FOUND  there is no such message, or this user does not see it
--          ROOM_NOT_FOUND     there is no such room, or the user may not know of it
--          NOT_A_MEMBER       the user is not a member of the room
--          RATE_LIMITED       the bucket is empty

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    members of the room, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the room's events now, see lib/lease
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local bucket      = KEYS[8] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id
local seq         = ARGV[3] -- integer seq of the message
local changes     = ARGV[4] -- flag    1 to refuse strangers, who cannot change it
local interval_us = ARGV[5] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[6] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, '')
local refused = changes == '1' and refuse_stranger(room) or refuse_reader(room)
if refused then return refused end
local message, segment = visible_message(room, room.member, seq, {})
return (message or segment) and with_charge(charge, message or segment) or redis.error_reply('MESSAGE_NOT_FOUND There is no such message.')
