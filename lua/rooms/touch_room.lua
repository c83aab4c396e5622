#!lua flags=allow-oom
--- @include "lib/commit_room"
-- Gives a room a new version, so that rows that are ahead of it, because a failover lost its last changes, follow it
-- again.
--
-- Returns  done  1
-- Changes  conversation.changed

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

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, '', '')
if not room then return {0, 0} end
return commit_room(room, {kind = 'conversation.changed'}, leader, nil, 1)
