#!lua flags=no-writes
--- @include "lib/row"
-- Counts the pinned conversations of a user.
--
-- Returns  count  number of pinned rows

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row

return tonumber(redis.call('HGET', conversations, PINNED_FIELD) or 0)
