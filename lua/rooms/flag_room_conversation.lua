#!lua
--- @include "lib/commit_member"
--- @include "lib/flags"
--- @include "lib/rate"
--- @include "lib/room_access"
--- @include "lib/schedule"
-- Mutes a room for a member, or ends that. A mute can have an end.
--
-- Returns  [entry, newest, metadata, profile, member_count]  as lib/commit_member has them
-- Changes  conversation.changed
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
local schedule           = KEYS[11] -- zset    schedule of the partition, see lib/schedule
local bucket             = KEYS[12] -- string  rate limit bucket; none if nobody is charged
local name               = ARGV[1]  -- string  name of the room
local user               = ARGV[2]  -- string  user id
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local leader             = ARGV[4]  -- string  under which name the caller files events
local on                 = ARGV[5]  -- flag    1 mutes, 0 ends that
local muted_until        = ARGV[6]  -- integer when the mute ends, in milliseconds since 1970; 0 if it does not
local interval_us        = ARGV[7]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[8]  -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
local refused = refuse_stranger(room)
if refused then return refused end
local owner = {inbox = user_inbox, conversations = user_conversations, events = user_events}
local member = room.member
local flags = with_flag(member.flags, MUTED, on)
if flags == member.flags and muted_until == member.muted_until then
  return commit_member(room, nil, owner, leader, charge, room_state_of(room, member))
end
schedule_mute_end(schedule, user, name, member.muted_until, muted_until)
member.flags, member.muted_until = flags, muted_until
return commit_member(room, {kind = 'conversation.changed'}, owner, leader, charge, room_state_of(room, member))
