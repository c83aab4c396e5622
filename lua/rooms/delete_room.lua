#!lua flags=allow-oom
--- @include "lib/commit_room"
--- @include "lib/rate"
--- @include "lib/room"
--- @include "lib/room_admin"
-- Begins to delete a room: from now on it does not exist for anybody. lua/rooms/erase_room.lua deletes the rest when
-- its members have been told.
--
-- Returns  deleted  1
-- Changes  room.left
-- Errors   ROOM_NOT_FOUND  there is no such room, or the user does not see it
--          NOT_A_MEMBER    the user is banned, or is not a member
--          FORBIDDEN       the user is not an admin
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
local leader      = ARGV[4] -- string  name under which the caller files events
local interval_us = ARGV[5] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[6] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
refusal = refuse_non_admin(room, user)
if refusal then return refusal end
append_event(room, {kind = 'room.left'})
redis.call('HSET', meta, 'deleted', room.version)
return commit_room(room, nil, leader, charge, 1)
