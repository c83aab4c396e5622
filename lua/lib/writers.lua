-- Who has written in a conversation, which rows say, and its state does not.
--- @include "lib/count"

-- Finds the users of whom there is a message that is not deleted, within the limits of a search.
local function find_writers(conversation)
  local archive = archive_of(conversation)
  for _, user in ipairs({conversation.user, conversation.peer}) do
    user.writes = #newest_messages(conversation, user.id, 1, 1, 0) > 0 or archive
      and count_in_archive(conversation, author_of(conversation, user.id),
        math.max(archive.from, conversation.hot_from - SEARCHED_MESSAGES), conversation.hot_from - 1) > 0
  end
end
