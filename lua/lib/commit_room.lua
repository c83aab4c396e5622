-- The end of a script that changes a room for everybody: appends what happened to the room's events, from which it
-- is filed in the inboxes of the members, and publishes it to those who watch the room.
--- @include "lib/archive_change"
--- @include "lib/charged"
--- @include "lib/feed"
--- @include "lib/lease"
--- @include "lib/room"
--- @include "lib/room_event"

-- Gives the room its next version. `now` as now_us returns it, if it is known already.
local function next_room_version(room, now)
  local version = now or now_us()
  if version <= room.version then version = string.format('%d', room.version + 1) end
  room.version = version
end

-- Appends a change of the room to the feed of the partition, if there is one.
--
-- kind  type of the event in the feed
-- by    who acted; nil or empty if nobody did, or a backend
-- name  of a further member of the JSON object, and its value as JSON; nil if there is none
local function feed_room_change(room, kind, by, name, value)
  if redis.call('EXISTS', room.feed) == 0 then return end
  if kind == 'message.created' then return append_to_feed(room.feed, kind, value) end
  local data = room_of(room.name)
  if by and by ~= '' then data = data .. ',"by":"' .. by .. '"' end
  data = data .. ',"last_seq":' .. room.seq
  if name then data = data .. ',"' .. name .. '":' .. value end
  append_to_feed(room.feed, kind, room.name, 'data', data .. '}')
end

-- Appends what happened to the feed, as append_event has it. There it says who acted, and what became of the room.
local function feed_event(room, event, message, user)
  if event.creates then return end
  local kind, by = event.kind, not event.expires and room.user
  if kind == 'conversation.changed' then
    kind = 'room.changed'
  elseif kind == 'room.left' and user == '' then
    kind = 'room.deleted'
  end
  if user ~= '' then
    feed_room_change(room, kind, by, 'user', '"' .. user .. '"')
  elseif message ~= '' then
    feed_room_change(room, kind, by, 'message', message)
  else
    feed_room_change(room, kind, by)
  end
end

-- Appends an event to those of the room.
--
-- event
--   kind     its type
--   message  JSON of the message that changed, if one did
--   active   true if that message is new
--   expires  true if nobody acts, because a message expires
--   creates  true if the room is new, of which the feed is told apart
--   user     whom it is about: who joined or left; with room.left, nobody means that all members have left
--   since    of a user who left, `since` of the record
-- now    as now_us returns it, if it is known already
local function append_event(room, event, now)
  local prev, message, user = room.last_event, event.message or '', event.user or ''
  next_room_version(room, now)
  local version = room.version
  room.last_event = version
  if event.active then room.active = version end
  redis.call('XADD', room.events, version .. '-0', 'kind', event.kind, 'message', message, 'user', user,
    'since', event.since or '')
  room.published[#room.published + 1] = format_room_event(room.name, event.kind, room.created .. '-' .. version,
    room.created .. '-' .. prev, user, message)
  feed_event(room, event, message, user)
end

-- Drops messages that the retention no longer allows, of which everybody is told if they are of nothing else.
local function drop_room_messages(room)
  local archive = room.archive
  if room.dropped == 0 and not (archive and archive.changed) then return end
  if room.dropped > 0 then redis.call('LTRIM', room.messages, 0, -1 - room.dropped) end
  save_archive(room)
  if #room.published == 0 then append_event(room, {kind = 'conversation.changed'}) end
end

-- Writes the state of a changed room and publishes its events. If they are to be filed and nobody does so, the caller
-- gets the lease, under the name `leader`.
--
-- Returns  whether the caller got the lease
local function publish_room(room, leader)
  redis.call('HSET', room.meta, 'state', format_room_state(room))
  if #room.published == 0 then return false end
  -- A room stays in the outbox until all of its events are filed.
  if room.is_filed then redis.call('ZADD', room.outbox, room.version, room.name) end
  local leads = redis.call('SET', room.lease, leader, 'NX', 'PX', LEASE_MS)
  -- Redis may refuse to publish (ACL). Who watches finds the events in the stream.
  for _, event in ipairs(room.published) do redis.pcall('SPUBLISH', room.events, event) end
  return leads
end

-- Writes a changed room with its events.
--
-- change  an event to append, as append_event has it; nil if there is none, or if it was appended before
-- leader  under which name the caller files events
-- charge  as charge_rate returns it; nil if nobody is charged
-- reply   the reply of the script
--
-- Returns  [reply, leads]: the reply, and 1 if the caller got the lease and files the events of the room now. If
--          somebody was charged, [tokens left, milliseconds until the bucket is full, [reply, leads]]
local function commit_room(room, change, leader, charge, reply)
  if change then
    append_event(room, change, charge and charge.now)
    -- A new message can exceed the limit of messages.
    if change.active and room.retention ~= '' then find_old_messages(room, room.retention) end
  end
  drop_room_messages(room)
  local leads = #room.published > 0 and publish_room(room, leader)
  return with_charge(charge, {reply, leads and 1 or 0})
end
