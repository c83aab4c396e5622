-- The lease of a room: which process files its events now.

-- How long a process may take for a part of the events before another one may go on, in milliseconds.
local LEASE_MS = 4000
