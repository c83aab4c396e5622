-- Notes that a user has read up to a seq, which tells the peer so.
--
-- user  the user's marks
local function advance_read(user, seq)
  user.read = seq
  if tonumber(user.told_read) < tonumber(seq) then user.told_read = seq end
end
