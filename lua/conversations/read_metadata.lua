#!lua flags=no-writes
--- @include "lib/metadata"
-- Reads what a user keeps with each of several conversations.
--
-- Returns  metadata  JSON, in their order; empty where there is none

local metas = KEYS    -- hashes  everything but the messages of a pair, see lib/state
local user  = ARGV[1] -- string  user id

local found = {}
for i, meta in ipairs(metas) do
  found[i] = redis.call('HGET', meta, METADATA_FIELD .. user) or ''
end
return found
