-- Changing the flags of a user, see lib/state.
--- @include "lib/state"

-- Returns the flags with one of them set to `on`, 1 or 0.
local function with_flag(flags, place, on)
  return string.sub(flags, 1, place - 1) .. on .. string.sub(flags, place + 1)
end
