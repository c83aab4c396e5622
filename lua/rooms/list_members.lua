#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/room_view"
-- Lists members of a room in the order of their ids. Only admins see who is banned.
--
-- Returns  [members, more]  each [user, role, read_seq, joined_ms]; 1 if more follow
-- Errors   NOT_A_MEMBER    the user is banned
--          ROOM_NOT_FOUND  there is no such room, or the user does not see it
--          RATE_LIMITED    the bucket is empty

local messages    = KEYS[1] -- list    messages of the room as JSON, newest first
local meta        = KEYS[2] -- hash    everything else of the room, see lib/room
local members     = KEYS[3] -- hash    user -> record of the member, see lib/room
local room_events = KEYS[4] -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5] -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6] -- string  who files the events of the room now
local feed        = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local bucket      = KEYS[8] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the acting user; empty for a backend
local retention   = ARGV[3] -- string  keep|since, see lib/retention; empty to keep everything
local after       = ARGV[4] -- string  user id after which the page begins; empty for the beginning
local limit       = ARGV[5] -- integer maximum number of members
local interval_us = ARGV[6] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[7] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
refusal = refuse_viewer(room, user)
if refusal then return refusal end

local stored, all, records = redis.call('HGETALL', members), {}, {}
local sees_banned = is_admin(room, user)
for i = 1, #stored, 2 do
  local id, record = stored[i], stored[i + 1]
  if id > after and (sees_banned or string.match(record, '^%l+') ~= 'banned') then
    all[#all + 1], records[id] = id, record
  end
end
-- Bounded: a room has at most 1,000 members and 1,000 banned users.
table.sort(all)
local page = {}
for i = 1, math.min(#all, limit) do
  page[i] = {all[i], unpack(member_view(parse_member(all[i], records[all[i]], room)))}
end
return with_charge(charge, {page, #all > #page and 1 or 0})
