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
  local user, newest = conversation.user, nil
  -- Read first, because the key is gone if all messages are dropped, and a node from which the partition moves
  -- away refuses keys that it does not have.
  if math.max(tonumber(user.cleared_up_to), conversation.dropped_up_to) < tonumber(conversation.seq) then
    newest = redis.call('LINDEX', conversation.messages, 0)
  end
  local committed = commit(conversation, change, charge, '')
  local entry = entry_of(conversation, user, conversation.peer)
  local state = {entry, newest or '', metadata_of(conversation, user)}
  if not conversation.outbox then return with_charge(charge, state) end
  committed[1] = state
  return committed
end
