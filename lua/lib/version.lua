-- The version of a conversation of two users or of a room. Both have it in the field `state` of the meta hash, which
-- begins seq|version, see lib/state and lib/room.

-- Returns the seq of the newest message, and the version; nil if there is no state.
local function parse_version(state)
  return string.match(state or '', '^(%d+)|(%d+)')
end
