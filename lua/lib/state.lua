-- The fields of a conversation's meta hash.
--   state      seq|version|age|imported
--   user:<id>  read|told_read|delivered|cleared_up_to|muted|blocked, or erased|cleared_up_to
--   erased:<id>  seq up to which messages are of an erased user: this id was used before
--
-- seq            that of the newest message
-- version        orders the changes of the conversation: a hybrid clock in microseconds since 1970
-- age            version, less that of the newest message
-- imported       seq of the newest imported message
-- read           seq up to which the user has read; goes back when messages are marked as unread
-- told_read      seq up to which the peer was told that the user has read; at least `read`
-- delivered      seq up to which the user's devices said that they have received
-- cleared_up_to  seq up to which the user sees nothing any more
-- erased         the user was erased, and nobody has used the id in this conversation since: the user has
--                no row, and no change of the peer's writes one
-- muted, blocked 1 if the user muted the conversation, blocked the peer

-- Captures all of them, for string.match.
local STATE = '^(%d+)|(%d+)|(-?%d+)|(%d+)$'
local MARKS = '^(%d+)|(%d+)|(%d+)|(%d+)|(%d)|(%d)$'
local ERASED_MARKS = '^erased|(%d+)$'
local ERASED_FIELD = 'erased:'
