-- The fields of a conversation's meta hash.
--   state          seq|version|age|imported|unread|unread, and ;marks;marks if one of the users has marks, else empty ones;
--                  unread and marks are those of the first and of the second user of the pair
--   marks          read|told_read|delivered, then |cleared_up_to|flags|muted_until unless all three are those of a user
--                  without marks; or erased|cleared_up_to
--   erased:<id>    seq up to which messages are of an erased user: this id was used before
--   metadata:<id>  JSON object that the user keeps with the conversation, if the flag says that there is one
--
-- seq            seq of the newest message
-- version        orders the changes of the conversation: a hybrid clock in microseconds since 1970
-- age            version minus that of the newest message
-- imported       seq of the newest imported message
-- unread         unread messages of the user
-- read           seq up to which the user has read; moves back when messages are marked as unread
-- told_read      seq of the read receipt that the peer sees
-- delivered      seq up to which the user's devices have received
-- cleared_up_to  seq up to which messages are hidden from the user
-- erased         the user was erased, and nobody has used the id in this conversation since. The user has no
--                row, and changes by the peer write none
-- flags          one digit per flag, 1 if it is set; see the constants
-- muted_until    when the mute ends, in milliseconds since 1970; 0 if it does not

-- lib/conversation reads the state and lib/commit writes it. Captures it, for string.match; and the state of a
-- conversation without any.
local STATE = '^(%d+)|(%d+)|(-?%d+)|(%d+)|(%d+)|(%d+);?([^;]*);?([^;]*)$'
local NO_STATE = '0|0|0|0|0|0'

local ERASED_FIELD = 'erased:'

-- The positions of the flags, and the flags of a user who has set none.
local MUTED, BLOCKED, ARCHIVED, PINNED, HAS_METADATA = 1, 2, 3, 4, 5
local NO_FLAGS = '00000'

local function has_flag(flags, place)
  return flags ~= NO_FLAGS and string.sub(flags, place, place) == '1'
end
