-- The metadata of a user in a conversation.
--- @include "lib/state"

local METADATA_FIELD = 'metadata:'

-- Returns the metadata of one of the two users as JSON; empty if there is none.
local function metadata_of(conversation, user)
  return has_flag(user.flags, HAS_METADATA) and redis.call('HGET', conversation.meta, METADATA_FIELD .. user.id) or ''
end
