-- What only admins of a room may do.
--- @include "lib/room_view"

-- Returns the error with which to refuse who may not do what admins may; nil for an admin.
local function refuse_non_admin(room, user)
  if room and is_admin(room, user) then return end
  return refuse_stranger(room) or redis.error_reply('FORBIDDEN Only admins of the room may do this.')
end
