-- Rooms and members as the API shows them. A backend acts as no user: `user` is empty then.
--- @include "lib/room"
--- @include "lib/room_access"

-- Whether the acting user may do what admins may.
local function is_admin(room, user)
  return user == '' or room.member ~= nil and room.member.role == 'admin'
end

-- Returns the error with which to refuse who may not see the room and its members; nil for who may.
local function refuse_viewer(room, user)
  if room and user == '' then return end
  return refuse_reader(room)
end

-- Returns [role, read_seq, joined_ms] of a member; nothing if there is none.
local function member_view(member)
  return member and {member.role, member.read, member.joined_ms} or {}
end

-- Returns [join, history, profile, member_count, seq, created, membership] of a room; the membership is that of the
-- acting user, as member_view has it.
local function room_view(room)
  local stored = redis.call('HMGET', room.meta, 'profile', 'member_count')
  local member = is_member(room.member) and room.member
  return {room.join, room.history, stored[1], tonumber(stored[2]), room.seq, room.created, member_view(member)}
end
