#!lua
--- @include "lib/commit_room"
--- @include "lib/metadata"
--- @include "lib/rate"
--- @include "lib/room"
--- @include "lib/room_admin"
-- Removes a user from a room, or lifts a ban. A user who is not in the room is not an error.
--
-- Returns  version  of the room
-- Changes  room.left
-- Changes  conversation.changed
-- Errors   ROOM_NOT_FOUND  there is no such room, or the acting user does not see it
--          NOT_A_MEMBER    the acting user is banned, or is not a member
--          FORBIDDEN       the acting user is not an admin
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
local actor       = ARGV[2] -- string  user id of the acting user; empty for a backend
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  name under which the caller files events
local user        = ARGV[5] -- string  user id of the member
local interval_us = ARGV[6] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[7] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, actor, retention)
local leaves = room and actor == user and (is_member(room.member) or not room.member and room.join == 'open')
refusal = not leaves and refuse_non_admin(room, actor)
if refusal then return refusal end

local record = redis.call('HGET', members, user)
if not record then return commit_room(room, nil, leader, charge, room.version) end
local member, change = parse_member(user, record, room), {kind = 'conversation.changed', user = user}
if is_member(member) then
  change = {kind = 'room.left', user = user, since = member.since}
  redis.call('HINCRBY', meta, 'member_count', -1)
end
redis.call('HDEL', members, user)
redis.call('HDEL', meta, METADATA_FIELD .. user)
append_event(room, change)
return commit_room(room, nil, leader, charge, room.version)
