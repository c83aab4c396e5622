#!lua flags=no-writes
--- @include "lib/clock"
--- @include "lib/outbox"
-- Finds entries of some outboxes that have been unconfirmed for too long.
--
-- Returns  [entries, counts]  those entries, of each outbox the longest first, and the number of all entries of each
--          outbox

local outboxes = KEYS    -- zsets   entry -> version, see lib/outbox
local limit    = ARGV[1] -- integer maximum number of entries of an outbox

local found, counts, since = {}, {}, string.format('%d', now_us() - UNCONFIRMED_US)
for i, outbox in ipairs(outboxes) do
  local entries = redis.call('ZRANGEBYSCORE', outbox, '-inf', since, 'LIMIT', 0, limit)
  for _, entry in ipairs(entries) do found[#found + 1] = entry end
  counts[i] = redis.call('ZCARD', outbox)
end
return {found, counts}
