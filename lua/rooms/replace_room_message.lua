#!lua
--- @include "lib/archive_change"
--- @include "lib/commit_room"
--- @include "lib/room_access"
-- Replaces a message of a room if it has not changed since it was read (compare and swap). The new JSON is made in
-- Rust, which parses JSON exactly.
--
-- Returns  message  JSON; if it is in the archive and something is missing, what the caller is to read or to write,
--                   see lib/archive and lib/archive_change
-- Changes  message.updated
-- Errors   MESSAGE_NOT_FOUND  the retention drops it in this step
--          MESSAGE_CHANGED    it has changed since it was read
--          ROOM_NOT_FOUND     there is no such room, or the user may not know of it
--          NOT_A_MEMBER       the user is not a member of the room

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    members of the room, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the room's events now, see lib/lease
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local garbage     = KEYS[8] -- zset    objects of the partition to delete -> when, in ms
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  under which name the caller files events
local seq         = ARGV[5] -- integer seq of the message
local old         = ARGV[6] -- string  JSON of the message as it was read
local new         = ARGV[7] -- string  JSON to replace it by
local held        = ARGV[8] -- string  what the caller has of the archive, see lib/archive; empty for nothing

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
local refused = refuse_stranger(room)
if refused then return refused end
if tonumber(seq) <= room.dropped_up_to then return redis.error_reply('MESSAGE_NOT_FOUND There is no such message.') end
local archived = parse_held(held, garbage)
local stored, missing = visible_message(room, room.member, seq, archived)
if missing then return commit_room(room, nil, leader, nil, missing) end
if stored ~= old then
  return redis.error_reply('MESSAGE_CHANGED The message has changed since it was read.')
end
if old == new then return commit_room(room, nil, leader, nil, new) end
missing = missing_object(room, seq, new, archived)
if missing then return commit_room(room, nil, leader, nil, missing) end
put_message(room, seq, new, archived)
return commit_room(room, {kind = 'message.updated', message = new}, leader, nil, new)
