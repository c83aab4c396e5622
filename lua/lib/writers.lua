-- Who has written in a conversation, which rows say, and its state does not.
--- @include "lib/count"

-- Finds the users of whom there is a message that is not deleted, within the limits of a search.
local function find_writers(conversation)
  local messages, newest = conversation.messages, tonumber(conversation.seq)
  local oldest = newest - redis.call('LLEN', messages) + 1
  for _, user in ipairs({conversation.user, conversation.peer}) do
    user.writes = #newest_messages(messages, user.id, newest, oldest, 1, 0) > 0
  end
end
