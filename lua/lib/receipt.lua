-- Read marks, and the receipts that the peer sees.
--- @include "lib/state"

-- Marks everything as read.
--
-- seq  seq of the newest message
local function read_everything(user, seq)
  user.unread, user.read = '0', seq
end

-- Moves the read receipt that the peer sees forward to a seq. Not for messages that the user cleared, and
-- not if the peer has blocked the user.
--
-- Returns  whether it moved
local function tell_read(user, peer, seq)
  if tonumber(seq) <= math.max(tonumber(user.told_read), tonumber(user.cleared_up_to)) then return false end
  if has_flag(peer.flags, BLOCKED) then return false end
  user.told_read = seq
  return true
end
