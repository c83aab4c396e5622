#!lua flags=no-writes
--- @include "lib/metadata"
-- Reads the metadata of a user in several conversations.
--
-- Returns  metadata  JSON, in the order of the conversations; empty if there is none

local metas = KEYS    -- hashes  everything but the messages of a pair, see lib/state
local user  = ARGV[1] -- string  user id

local found = {}
for i, meta in ipairs(metas) do
  found[i] = redis.call('HGET', meta, METADATA_FIELD .. user) or ''
end
return found
