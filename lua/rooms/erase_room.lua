#!lua flags=allow-oom
--- @include "lib/archive"
--- @include "lib/archive_change"
-- Deletes everything of a room that is being deleted, if all members have been told. May be repeated.
--
-- Returns  erased  1 if no room of this name is being deleted any more, 0 if members are not told yet, or if there is
--                  more in the archive

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local garbage     = KEYS[7] -- zset    objects of the partition to delete -> when, in ms
local name        = ARGV[1] -- string  name of the room
local folder      = ARGV[2] -- string  folder of the objects of the room in the archive
local grace_ms    = ARGV[3] -- integer how long they are kept, in milliseconds

local stored = redis.call('HMGET', meta, 'deleted', 'filed')
local deleted, filed = stored[1], stored[2]
-- Versions have the same number of digits.
if not deleted then return 1 end
if filed < deleted then return 0 end
if give_up_archive({meta = meta}, garbage, folder, grace_ms) then return 0 end
-- Memory is freed in the background, whatever the size.
redis.call('UNLINK', messages, meta, members, room_events, lease)
redis.call('ZREM', outbox, name)
return 1
