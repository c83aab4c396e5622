#!lua
--- @include "lib/commit_room"
-- Drops messages of a room that the retention no longer allows.
--
-- Returns  dropped  number of messages; [from, low, high, object] if the caller is to find out first which messages of
--                   the archive are too old, see old_segment of lib/retention
-- Changes  conversation.changed, if there were some

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    members of the room, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the room's events now, see lib/lease
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  under which name the caller files events
local limit       = ARGV[5] -- integer maximum number of messages to drop
local old         = ARGV[6] -- string  which messages of the archive are too old, see lib/retention; empty if not known

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, '')
if not room then return {0, 0} end
local segment = old == '' and old_segment(room, retention)
if segment then return commit_room(room, nil, leader, nil, segment) end
find_old_messages(room, retention, tonumber(limit), nil, old)
local dropped = room.dropped + (room.archive and room.archive.dropped or 0)
local change = dropped > 0 and {kind = 'conversation.changed'} or nil
return commit_room(room, change, leader, nil, dropped)
