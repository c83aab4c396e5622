#!lua flags=allow-oom
--- @include "lib/commit_member"
--- @include "lib/page"
--- @include "lib/rate"
--- @include "lib/room_access"
-- Reads a page of a room and the user's unread messages that are not in the archive, and marks the room as read, unless
-- the page needs the archive. Strangers read open rooms, and mark nothing.
--
-- Returns  [entry, history, unread, next_before, next_after, metadata, profile, member_count, archived]  the entry
--          before this read, see lib/row; messages, newest first; the cursors, nil at an end; the user's metadata and
--          the profile of the room as JSON; nil or what the page needs of the archive, see lib/page
-- Changes  conversation.read
-- Errors   ROOM_NOT_FOUND  there is no such room, or the user may not know of it
--          NOT_A_MEMBER    the user is not a member of the room
--          RATE_LIMITED    the bucket is empty

local messages           = KEYS[1]  -- list    messages of the room as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the room, see lib/room
local members            = KEYS[3]  -- hash    members of the room, see lib/room
local room_events        = KEYS[4]  -- stream  events of the room; also the name of the channel
local outbox             = KEYS[5]  -- zset    outbox of the partition, see lib/outbox
local lease              = KEYS[6]  -- string  who files the room's events now, see lib/lease
local feed               = KEYS[7]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local user_inbox         = KEYS[8]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[9]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[10] -- list    the user's last events; also the name of the channel
local bucket             = KEYS[11] -- string  rate limit bucket; none if nobody is charged
local name               = ARGV[1]  -- string  name of the room
local user               = ARGV[2]  -- string  user id
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local leader             = ARGV[4]  -- string  under which name the caller files events
local limit              = ARGV[5]  -- integer maximum number of messages of history
local range              = ARGV[6]  -- string  range of the page: newest, before, after, around or around_time
local place              = ARGV[7]  -- string  seq or time (RFC 3339) of the range; empty for newest
local peek               = ARGV[8]  -- flag    1 marks nothing as read
local unread_limit       = ARGV[9]  -- integer maximum number of unread messages to return
local bytes              = ARGV[10] -- integer maximum bytes of the page, and of the unread messages
local interval_us        = ARGV[11] -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[12] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
local refused = refuse_reader(room)
if refused then return refused end
local reader = room.member
local oldest = oldest_visible_in(room, reader)
archive_of(room)
local history, next_before, next_after, archived = page_of(room, range, place, limit, oldest, bytes)

local wanted = math.min(reader and room_unread(room, reader) or 0, unread_limit)
local unread = wanted > 0 and read_range(messages, 0, wanted - 1, tonumber(bytes)) or {}
local reply = {
  room_entry(room, reader), history, unread, next_before, next_after, room_details(room, reader),
}
reply[9] = archived
if peek == '1' or archived or not reader or reader.read == room.seq then
  return commit_room(room, nil, leader, charge, reply)
end
reader.read = room.seq
local owner = {inbox = user_inbox, conversations = user_conversations, events = user_events}
return commit_member(room, {kind = 'conversation.read'}, owner, leader, charge, reply)
