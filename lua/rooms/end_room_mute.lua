#!lua flags=allow-oom
--- @include "lib/commit_member"
--- @include "lib/schedule"
-- Ends a member's mute of a room that has expired. Does nothing if the member has changed the mute since.
--
-- Returns  ended  1 if the mute ended
-- Changes  conversation.changed

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
local name               = ARGV[1]  -- string  name of the room
local user               = ARGV[2]  -- string  user id
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local leader             = ARGV[4]  -- string  under which name the caller files events

local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, '')
if not room or not is_member(room.member) then
  redis.call('ZREM', schedule, mute_entry(user, name))
  return {0, 0}
end
local is_over = room.member.muted_until == '0'
local owner = {inbox = user_inbox, conversations = user_conversations, events = user_events}
if not is_over or redis.call('ZREM', schedule, mute_entry(user, name)) == 0 then
  return commit_member(room, nil, owner, leader, nil, 0)
end
return commit_member(room, {kind = 'conversation.changed'}, owner, leader, nil, 1)
