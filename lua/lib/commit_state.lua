-- The end of a script that returns the state of a conversation. Apart from lib/commit, because a send
-- needs none of it.
--- @include "lib/charged"
--- @include "lib/commit"
--- @include "lib/metadata"

-- Commits a change, see commit.
--
-- Returns  [entry, newest, metadata]: how the user sees the conversation, see lib/row; the newest message that
--          the user sees and the user's metadata as JSON, or empty. If somebody was charged, as in commit
local function commit_state(conversation, change, charge)
  commit(conversation, change, charge)
  local user = conversation.user
  local cleared = tonumber(user.cleared_up_to) >= tonumber(conversation.seq)
  local newest = not cleared and redis.call('LINDEX', conversation.messages, 0)
  local entry = entry_of(conversation, user, conversation.peer)
  return with_charge(charge, {entry, newest or '', metadata_of(conversation, user)})
end
