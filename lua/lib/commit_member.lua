-- The end of a script that changes only the marks or the settings of one member of a room.
--- @include "lib/commit_room"
--- @include "lib/metadata"
--- @include "lib/room_inbox"

-- Returns the metadata that a user keeps with the room and the profile, as JSON, each of which may be empty; and the
-- number of members.
local function room_details(room, member)
  local stored = redis.call('HMGET', room.meta, 'profile', 'member_count')
  return member and metadata_of(room, member) or '', stored[1], tonumber(stored[2])
end

-- Returns how a user sees the room: [entry, newest, metadata, profile, member_count], the entry as in lib/row; the
-- newest message that the user sees as JSON, or empty; the others as room_details returns them.
local function room_state_of(room, member)
  local newest = oldest_visible_in(room, member) <= tonumber(room.seq) and redis.call('LINDEX', room.messages, 0) or ''
  return {room_entry(room, member), newest, room_details(room, member)}
end

-- Writes a changed member, and updates the row of the room in the member's inbox. Others are not told.
--
-- change  `kind`, the type of the event for the member's devices; nil if nothing changed
-- owner   the keys `inbox`, `conversations` and `events` of the member; on a cluster, each is the key of the outbox
-- leader, charge, reply  as commit_room has them; a read drops messages that the retention no longer allows
--
-- Returns  as commit_room; on a cluster [reply, leads, version, update], where `update` has the arguments state,
--          kind and record of lua/rooms/file_room_events.lua
local function commit_member(room, change, owner, leader, charge, reply)
  if not change then return commit_room(room, nil, leader, charge, reply) end
  local member, record = room.member, format_member(room.member)
  owner.id = member.id
  drop_room_messages(room)
  next_room_version(room, charge and charge.now)
  redis.call('HSET', room.members, member.id, record)
  local is_elsewhere = owner.inbox == room.outbox
  if not is_elsewhere then find_badges(owner) end
  local row = not is_elsewhere and room_row(room, member.id, record)
  local events = row and update_room_inbox(owner, room.name, room.version, row, {}, change.kind) or {}
  local leads = publish_room(room, leader)
  for _, event in ipairs(events) do redis.pcall('SPUBLISH', owner.events, event) end
  publish_badge(owner)
  if change.kind == 'conversation.read' then
    feed_room_change(room, change.kind, member.id, 'read_seq', member.read)
  end
  local committed = {reply, leads and 1 or 0}
  if is_elsewhere then
    redis.call('ZADD', room.outbox, room.version, room.name .. ',' .. member.id)
    committed[3], committed[4] = room.version, {format_room_state(room), change.kind, record}
  end
  return with_charge(charge, committed)
end
