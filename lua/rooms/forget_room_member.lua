#!lua
--- @include "lib/commit_room"
--- @include "lib/metadata"
--- @include "lib/room"
--- @include "lib/schedule"
-- Removes a user who is being erased from a room, or the ban of the user, and everything that the room keeps but
-- messages. Those that there are now are never those of a later user of the same id.
--
-- Returns  last_seq  seq of the newest message of the room; nil if there is no such room
-- Changes  room.left
-- Changes  conversation.changed

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local schedule    = KEYS[8] -- zset    schedule of the partition, see lib/schedule
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the user who is erased
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  name under which the caller files events

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
if not room then return {false, 0} end
local member, change = room.member, nil
redis.call('HSET', meta, ERASED_FIELD .. user, room.seq)
redis.call('HDEL', meta, METADATA_FIELD .. user)
if member then
  redis.call('ZREM', schedule, mute_entry(user, name))
  redis.call('HDEL', members, user)
  change = {kind = 'conversation.changed', user = user}
  if is_member(member) then
    change = {kind = 'room.left', user = user, since = member.since}
    redis.call('HINCRBY', meta, 'member_count', -1)
  end
end
return commit_room(room, change, leader, nil, room.seq)
