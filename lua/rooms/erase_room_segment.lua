#!lua
--- @include "lib/archive_change"
--- @include "lib/commit_room"
--- @include "lib/room"
-- Replaces a segment of a room by one in which the user's messages are tombstones and others have no reactions of the
-- user.
--
-- Returns  done  1; 0 if the segment or its object is another one, and nothing was done
-- Changes  conversation.changed

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local schedule    = KEYS[8] -- zset    schedule of the partition, see lib/schedule
local garbage     = KEYS[9] -- zset    objects of the partition to delete -> when, in ms
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the user who is erased
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  name under which the caller files events
local held        = ARGV[5] -- string  what the caller has of the archive, see lib/archive; without a text
local high        = ARGV[6] -- integer seq of the newest message of the segment
-- Then the entries of the schedule of the messages that become tombstones
local entries     = {unpack(ARGV, 7)}

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, '', retention)
local segment = room and segment_at(room, tonumber(high))
if not segment then return {0, 0} end
local archived = parse_held(held, garbage)
room.segment = segment
if segment.object ~= archived.object or missing_object(room, high, '', archived) then
  return commit_room(room, nil, leader, nil, 0)
end
swap_object(room, segment, archived)
if #entries > 0 then redis.call('ZREM', schedule, unpack(entries)) end
return commit_room(room, {kind = 'conversation.changed'}, leader, nil, 1)
