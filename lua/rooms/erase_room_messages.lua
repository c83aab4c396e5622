#!lua
--- @include "lib/commit_room"
--- @include "lib/erase_part"
--- @include "lib/room"
-- Replaces the user's messages in a part of a room by tombstones, and messages of others by the same without the
-- user's reactions, unless they have changed since they were read.
--
-- Returns  [erased, missed]  messages that became tombstones; replacements that were not made
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
local low         = ARGV[5] -- integer seq of the oldest message of the part
local high        = ARGV[6] -- integer seq of the newest message of the part
local deleted_at  = ARGV[7] -- string  time, RFC 3339
-- Then for each message to replace: its seq, the JSON as it was read, and the JSON to replace it by
local replaced    = {unpack(ARGV, 8)}

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, '', retention)
if not room then return {{0, 0}, 0} end
-- Some have moved to the archive since they were read.
if archive_of(room) and tonumber(low) < room.hot_from then return commit_room(room, nil, leader, nil, {0, 1}) end
local missed = replace_unchanged(room, replaced)
local erased = erase_part(room, user, low, high, deleted_at, schedule, put_tombstone)
local changed = erased > 0 or #replaced > 3 * missed
return commit_room(room, changed and {kind = 'conversation.changed'} or nil, leader, nil, {erased, missed})
