#!lua
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/room_access"
-- Publishes to those who watch a room that a member is typing, at most once a second.
--
-- Returns  announced  1 if it was published
-- Errors   ROOM_NOT_FOUND  there is no such room, or the user may not know of it
--          NOT_A_MEMBER    the user is not a member
--          RATE_LIMITED    the bucket is empty

local meta        = KEYS[1] -- hash    everything else of the room, see lib/room
local members     = KEYS[2] -- hash    members of the room
local events      = KEYS[3] -- stream  what happened in the room, and channel of those who watch it
local typing      = KEYS[4] -- string  exists for a second after an announcement
local bucket      = KEYS[5] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the member
local event       = ARGV[3] -- string  the event as JSON
local interval_us = ARGV[4] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[5] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room('', meta, members, events, '', '', '', name, user, '')
local denial = refuse_stranger(room)
if denial then return denial end
if not redis.call('SET', typing, '', 'NX', 'PX', 1000) then return with_charge(charge, 0) end
redis.call('SPUBLISH', events, event)
return with_charge(charge, 1)
