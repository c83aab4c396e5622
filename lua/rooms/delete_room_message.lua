#!lua
--- @include "lib/archive_change"
--- @include "lib/commit_room"
--- @include "lib/message"
--- @include "lib/precondition"
--- @include "lib/rate"
--- @include "lib/room_access"
--- @include "lib/tombstone"
-- Deletes a message of a room for everybody: a tombstone without content replaces it, so that seqs stay. Its author
-- and admins of the room may do so.
--
-- Returns  message  the tombstone as JSON; if it is in the archive and something is missing, what the caller is to read or to write,
--                   see lib/archive and lib/archive_change
-- Changes  message.deleted
-- Errors   MESSAGE_NOT_FOUND    there is no such message, or this user does not see it
--          FORBIDDEN            somebody else wrote it, and the user is no admin
--          PRECONDITION_FAILED  it has none of the accepted versions
--          ROOM_NOT_FOUND       there is no such room, or the user may not know of it
--          NOT_A_MEMBER         the user is not a member of the room
--          RATE_LIMITED         the bucket is empty

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    members of the room, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the room's events now, see lib/lease
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local schedule    = KEYS[8] -- zset    schedule of the partition, see lib/schedule
local garbage     = KEYS[9] -- zset    objects of the partition to delete -> when, in ms
local bucket      = KEYS[10] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4] -- string  under which name the caller files events
local seq         = ARGV[5] -- integer seq of the message
local deleted_at  = ARGV[6] -- string  time, RFC 3339
local if_match    = ARGV[7] -- string  accepted versions, see lib/precondition; empty for any
local held        = ARGV[8] -- string  what the caller has of the archive, see lib/archive; empty for nothing
local interval_us = ARGV[9] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[10] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
local refused = refuse_stranger(room)
if refused then return refused end
local archived, message, missing = parse_held(held, garbage), nil, nil
if tonumber(seq) > room.dropped_up_to then message, missing = stored_message(room, seq, archived) end
if missing then return commit_room(room, nil, leader, charge, missing) end
-- Authors can delete their messages even after clearing them.
if message and tonumber(seq) < oldest_visible_in(room, room.member) then
  local _, author = string.match(message, MESSAGE_HEAD)
  if author ~= user then message = nil end
end
if not message then return redis.error_reply('MESSAGE_NOT_FOUND There is no such message.') end
local _, from, next_member = string.match(message, MESSAGE_HEAD)
-- Messages of an erased user of the same id are not the user's.
local is_author = from == user and tonumber(seq) > tonumber(redis.call('HGET', meta, ERASED_FIELD .. user) or 0)
if not is_author and room.member.role ~= 'admin' then
  return redis.error_reply('FORBIDDEN Only its author and admins of the room can delete a message.')
end
if not has_version(as_shown(message, deleted_at), if_match) then
  return redis.error_reply('PRECONDITION_FAILED The message has none of the versions in If-Match.')
end
if next_member == TOMBSTONE then return commit_room(room, nil, leader, charge, message) end

missing = missing_object(room, seq, make_tombstone(message, deleted_at), archived)
if missing then return commit_room(room, nil, leader, charge, missing) end
local tombstone, entry = put_tombstone(room, seq, message, deleted_at, archived)
if entry then redis.call('ZREM', schedule, entry) end
return commit_room(room, {kind = 'message.deleted', message = tombstone}, leader, charge, tombstone)
