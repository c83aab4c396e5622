#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/room_access"
--- @include "lib/room_event"
-- Reads the events of a room after a cursor, oldest first, for a user who watches it. If the events are no longer
-- kept, or the cursor is of an earlier room of this name, one `conversation.changed` stands for all of them.
--
-- Returns  [epoch, version, more, hidden_up_to, events]  the cursor after the events; 1 if more follow; the seq up to
--          which messages are not shown to the user; the events as JSON
-- Errors   ROOM_NOT_FOUND  there is no such room, or the user may not know of it
--          NOT_A_MEMBER    the user is banned
--          RATE_LIMITED    the bucket is empty

local meta        = KEYS[1] -- hash    everything else of the room, see lib/room
local members     = KEYS[2] -- hash    members of the room
local events      = KEYS[3] -- stream  what happened in the room
local bucket      = KEYS[4] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1] -- string  name of the room
local user        = ARGV[2] -- string  user id of the user
local epoch       = ARGV[3] -- integer epoch of the cursor; empty to read only where the events end
local version     = ARGV[4] -- integer version of the cursor
local limit       = ARGV[5] -- integer maximum number of events
local bytes       = ARGV[6] -- integer bytes of events after which the page ends
local interval_us = ARGV[7] -- integer microseconds in which the bucket gets a token back
local burst       = ARGV[8] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local room = load_room('', meta, members, events, '', '', '', name, user, '')
local denial = refuse_reader(room)
if denial then return denial end
local hidden_up_to = oldest_visible_in(room, room.member) - 1

local function page(next_version, more, found)
  return with_charge(charge, {room.created, next_version, more and 1 or 0, hidden_up_to, found})
end

local function at(place)
  return room.created .. '-' .. place
end

local is_same_room = epoch == room.created
if epoch == '' or is_same_room and version == room.last_event then return page(room.last_event, false, {}) end
if not is_same_room or #redis.call('XRANGE', events, version .. '-0', version .. '-0') == 0 then
  local changed = format_room_event(name, 'conversation.changed', at(room.last_event), epoch .. '-' .. version, '', '')
  return page(room.last_event, false, {changed})
end

-- An event has up to 110 KB, as in lib/read_range.
local STEP = 17
local found, size, shown = {}, 0, room.member or room.history == 'all'
while true do
  local entries = redis.call('XRANGE', events, '(' .. version .. '-0', '+', 'COUNT', STEP)
  for _, entry in ipairs(entries) do
    local kind, message, about = entry[2][2], entry[2][4], entry[2][6]
    local entry_version = string.match(entry[1], '^%d+')
    local event = format_room_event(name, kind, at(entry_version), at(version), about, message)
    size = size + #event
    if #found == tonumber(limit) or #found > 0 and size > tonumber(bytes) then return page(version, true, found) end
    -- A stranger sees what was sent after the cursor, but nothing older.
    if not shown and kind == 'message.created' then
      hidden_up_to, shown = string.match(message, MESSAGE_HEAD) - 1, true
    end
    found[#found + 1], version = event, entry_version
  end
  if #entries < STEP then return page(version, false, found) end
end
