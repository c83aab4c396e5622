-- The outbox of a partition: pairs whose conversation has changed, each with its version, until both inboxes are
-- known to have that version. Only on a cluster, where inboxes are on other nodes than conversations: a script
-- that changes a conversation returns the updates of both inboxes, and the service runs
-- lua/inbox/update_inbox.lua for each.
--- @include "lib/clock"

-- How long an update may stay unconfirmed before it is repeated, in microseconds.
local UNCONFIRMED_US = 3000000

-- Returns the pair of a conversation.
local function pair_of(conversation)
  local user, peer = conversation.user.id, conversation.peer.id
  return conversation.is_first and user .. ',' .. peer or peer .. ',' .. user
end

-- Whether updates of the inboxes have been unconfirmed for too long.
local function is_overdue(conversation)
  local version = redis.call('ZSCORE', conversation.outbox, pair_of(conversation))
  return version and now_us() - version > UNCONFIRMED_US
end
