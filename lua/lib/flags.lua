-- Changing the flags of a user, see lib/state.
--- @include "lib/state"

-- Returns the flags with one of them set to `on`, 1 or 0.
local function with_flag(flags, place, on)
  return string.sub(flags, 1, place - 1) .. on .. string.sub(flags, place + 1)
end

-- Brings a conversation back from the archives of both users. Returns whose marks changed, as commit takes it.
local function unarchive(conversation)
  local user, peer, marks = conversation.user, conversation.peer, nil
  if has_flag(user.flags, ARCHIVED) then user.flags, marks = with_flag(user.flags, ARCHIVED, '0'), 'user' end
  if has_flag(peer.flags, ARCHIVED) then peer.flags, marks = with_flag(peer.flags, ARCHIVED, '0'), 'both' end
  return marks
end
