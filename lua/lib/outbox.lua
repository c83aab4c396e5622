-- The outbox of a partition: what has changed, each with its version, until the inboxes are known to have that version.
--   <pair>         a conversation of two users. Only on a cluster, where inboxes are on other nodes than
--                  conversations: a script that changes a conversation returns the updates of both inboxes, and the
--                  service runs lua/inbox/update_inbox.lua for each
--   room:<id>      a room with events that are not filed yet, and the version of one of them or of an earlier one, see
--                  lua/rooms/take_room_events.lua
--   room:<id>,<user>  a member of a room, whose inbox is on another node of a cluster
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
