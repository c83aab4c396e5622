-- The presence of users: which processes they are connected to.

-- How long the presence of a user lasts without a renewal, in milliseconds.
local PRESENCE_MS = 40000
