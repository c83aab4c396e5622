#!lua flags=allow-oom
--- @include "lib/archive_change"
--- @include "lib/commit_room"
--- @include "lib/message"
--- @include "lib/tombstone"
-- Deletes a message of a room because it has expired. A message that no longer exists, or is already deleted, is only
-- removed from the schedule.
--
-- Returns  expired  1 if it was deleted; if it is in the archive and something is missing, what the caller is to read or
--                   to write, see lib/archive and lib/archive_change
-- Changes  message.deleted

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    members of the room, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the room's events now, see lib/lease
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local schedule    = KEYS[8] -- zset    schedule of the partition, see lib/schedule
local garbage     = KEYS[9] -- zset    objects of the partition to delete -> when, in ms
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  under which name the caller files events
local seq         = ARGV[5] -- integer seq of the message
local id          = ARGV[6] -- string  id of the message
local held        = ARGV[7] -- string  what the caller has of the archive, see lib/archive; empty for nothing

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, '', '')
local archived, entry, message, missing = parse_held(held, garbage), message_entry(user, name, seq, id), nil, nil
if room then message, missing = stored_message(room, seq, archived) end
if missing then return commit_room(room, nil, leader, nil, missing) end
if not is_due(room, message, user, id, schedule, entry) then
  redis.call('ZREM', schedule, entry)
  return {0, 0}
end
local expires_at = string.match(message, MESSAGE_EXPIRY)
missing = missing_object(room, seq, make_tombstone(message, expires_at), archived)
if missing then return commit_room(room, nil, leader, nil, missing) end
local tombstone = put_tombstone(room, seq, message, expires_at, archived)
redis.call('ZREM', schedule, entry)
return commit_room(room, {kind = 'message.deleted', message = tombstone, expires = true}, leader, nil, 1)
