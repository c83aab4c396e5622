#!lua
--- @include "lib/commit_member"
--- @include "lib/rate"
--- @include "lib/room_access"
--- @include "lib/settings"
-- Changes whether a room is archived or pinned for a member, and the member's metadata.
--
-- Returns  [entry, newest, metadata, profile, member_count]  as lib/commit_member has them
-- Changes  conversation.changed
-- Errors   CONVERSATION_CHANGED  the metadata has changed since it was read
--          TOO_MANY_PINNED       the user has the maximum number of pinned conversations
--          ROOM_NOT_FOUND        there is no such room, or the user may not know of it
--          NOT_A_MEMBER          the user is not a member of the room
--          RATE_LIMITED          the bucket is empty

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
local archived           = ARGV[5]  -- flag    1 or 0; empty to leave it as it is
local pinned             = ARGV[6]  -- flag    1 or 0; empty to leave it as it is
local metadata           = ARGV[7]  -- string  JSON object; null to remove it, empty to leave it as it is
local old_metadata       = ARGV[8]  -- string  JSON that the new metadata was made from; empty for none, * for any
local pin_limit          = ARGV[9]  -- integer maximum number of pinned conversations of a user, see lua/inbox/reserve_pin.lua for a cluster
local interval_us        = ARGV[10] -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[11] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
local refused = refuse_stranger(room)
if refused then return refused end
local owner = {inbox = user_inbox, conversations = user_conversations, events = user_events}
local member = room.member
local counts_pins = user_inbox ~= outbox and user_conversations or nil
local changed, why = update_settings(room, member, archived, pinned, metadata, old_metadata, counts_pins, pin_limit)
if why then return why end
if changed and archived == '1' then member.archived_up_to = room.seq end
local change = changed and {kind = 'conversation.changed'} or nil
return commit_member(room, change, owner, leader, charge, room_state_of(room, member))
