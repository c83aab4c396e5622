-- Who may do what in a room. Somebody who may not know of a room learns nothing: the answer is the same as if there
-- were none.
--- @include "lib/room"

-- Returns the error with which to refuse who is no member of the room; nil for a member.
local function refuse_stranger(room)
  if not room or not room.member and room.join ~= 'open' then
    return redis.error_reply('ROOM_NOT_FOUND There is no such room.')
  end
  if not is_member(room.member) then return redis.error_reply('NOT_A_MEMBER The user is not a member of the room.') end
end

-- Returns the error with which to refuse who may not read the room; nil for a member, and for a stranger if the room
-- is open.
local function refuse_reader(room)
  if room and room.join == 'open' and not room.member then return end
  return refuse_stranger(room)
end
