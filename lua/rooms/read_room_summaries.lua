#!lua flags=no-writes
--- @include "lib/version"
-- Reads what an inbox shows of several rooms.
--
-- Returns  [profile, member_count, version, filed, ...]  of each room: JSON, empty if there is no such room; the
--          version of the room and that up to which events are filed, 0 if there is none

local metas = KEYS -- hashes  everything but the messages of a room, see lib/room

local found = {}
for _, meta in ipairs(metas) do
  local stored = redis.call('HMGET', meta, 'profile', 'member_count', 'state', 'filed')
  found[#found + 1] = stored[1] or ''
  found[#found + 1] = stored[2] or '0'
  local _, version = parse_version(stored[3])
  found[#found + 1] = version or '0'
  found[#found + 1] = stored[4] or '0'
end
return found
