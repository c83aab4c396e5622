#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/room_view"
-- Reads a room as a user sees it.
--
-- Returns  [join, history, profile, member_count, seq, created, membership]  see lib/room_view
-- Errors   NOT_A_MEMBER    the user is banned
--          ROOM_NOT_FOUND  there is no such room, or the user does not see it
--          RATE_LIMITED    the bucket is empty

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local bucket      = KEYS[8] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the acting user; empty for a backend
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local interval_us = ARGV[4] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[5] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
return refuse_viewer(room, user) or with_charge(charge, room_view(room))
