-- How far a user has read, and what the peer is told of it.
--- @include "lib/state"

-- Notes that a user has read everything.
--
-- seq  that of the newest message
local function read_everything(user, seq)
  user.unread, user.read = '0', seq
end

-- Notes that the peer is told that a user has read up to a seq. That only moves forward. It is not told of
-- what the user cleared, nor if the peer has blocked the user.
--
-- Returns  whether it is news to the peer
local function tell_read(user, peer, seq)
  if tonumber(seq) <= math.max(tonumber(user.told_read), tonumber(user.cleared_up_to)) then return false end
  if has_flag(peer.flags, BLOCKED) then return false end
  user.told_read = seq
  return true
end
